"""The monitor's stored samples, replayed into Prometheus, answer the same."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from examples.ledger import front
from tests.support import limited
from tests.support.chain import chain, children, get, judge
from tests.support.ports import free_port
from tests.support.postgres import postgres
from tests.support.redis_server import redis_server
from tests.support.remote_write import write
from tests.support.waiting import until

from watchroom.derive import selectors
from watchroom.derive.causes import LEADS, PAGED
from watchroom.formats import rulefile
from watchroom.monitor.store import Store
from watchroom.promql import rates
from watchroom.promql.engine import Engine
from watchroom.promql.model import STALE, Matcher, Vector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.chain import Chain

    from watchroom.promql.syntax import Selector

pytestmark = [pytest.mark.judge, pytest.mark.slow]


LIMITED = Path(limited.__file__)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Chain]:
    """All that a panel can show: real services, TLS, and limits."""
    (made, authority), port = front.certificate(tmp_path), free_port()
    with (
        postgres() as database,
        redis_server() as redis,
        chain(
            tmp_path,
            DATABASE_URL=database,
            REDIS_URL=redis,
            LEDGER_SITES=f"https://localhost:{port}/",
            SSL_CERT_FILE=str(authority),
        ) as whole,
    ):
        # Of its own, without TLS: liveness is asked past what stands before it.
        whole.processes.environ["LEDGER_HEALTH_URL"] = whole.app.rstrip("/")
        whole.manage("migrate")
        whole.manage("seed", "--customers", "10")
        whole.start_site(made, port)
        yield whole


def expressions(monitoring: Path, *folders: str) -> list[str]:
    """Return every expression of every rule, panel and mark of a built directory."""
    found = []
    rules = not folders or "rules" in folders
    for path in sorted((monitoring / "rules").glob("*.yml")) if rules else ():
        for group in rulefile.load(path.read_text(), str(path)).groups:
            found += [rule.expr for rule in group.rules]
    for path in sorted((monitoring / "grafana").glob("*.json")):
        board = json.loads(path.read_text())
        for panel in board["panels"]:
            found += [target["expr"] for target in panel.get("targets", [])]
        if rules:
            found += [mark["expr"] for mark in board["annotations"]["list"]]
    return list(dict.fromkeys(map(chosen, found)))


def chosen(expr: str) -> str:
    """Return a panel's expression with everything chosen, on a zoom of two minutes."""
    for name, value in (("job", ".+"), ("instance", ".+"), ("__rate_interval", "8s")):
        expr = expr.replace(f"${name}", value)
    return expr


def stored(store: Store) -> Iterator[tuple[Any, list[tuple[int, float]]]]:
    """Yield each stored series with its samples, stale markers included."""
    end = 2**53
    for group in store.snapshot().select([Matcher("__name__", "=~", ".+")], 0, end):
        for row, labels in enumerate(group.labels):
            state = None if group.state is None else group.state[row]
            samples = []
            for column, at in enumerate(group.timestamps):
                if state is not None and state[column] == 1:
                    continue
                stale = state is not None and state[column] == 2
                value = STALE if stale else float(group.values[row, column])
                samples.append((int(at), value))
            yield labels, samples


def run_with_trouble(ledger: Chain) -> tuple[float, float]:
    """Let the chain live through faults, a kill and a silent target."""
    ledger.build("--interval", "1s", "--window", "12s", "--for", "3s")
    kernel = (str(LIMITED), str(ledger.directory / "kernel"))
    ledger.start_exporter(*kernel)
    ledger.start_app()
    ledger.start_worker()
    ledger.start_load(25)
    ledger.start_monitor()
    until(
        lambda: ledger.query(ledger.monitor, "sum(rate(http_requests_total[12s])) > 9"),
        60,
        "the monitor sees traffic",
    )
    begun = time.time()
    time.sleep(11)
    ledger.fault(errors="30%")
    time.sleep(6)
    os.kill(children(ledger.pid("app"))[0], signal.SIGKILL)
    ledger.fault(errors=None)
    time.sleep(2)
    ledger.kill("exporter")
    time.sleep(4)
    ledger.start_exporter(*kernel)
    time.sleep(8)
    return begun, time.time()


def same(expr: str, ours: dict, theirs: dict) -> bool:
    """Tell whether two vectors are equal, relative 1e-9."""
    if "topk(" in expr and len(ours) == len(theirs):
        # Of equals any may be chosen: the last bit of a sum decides.
        ours, theirs = (dict(enumerate(sorted(v.values()))) for v in (ours, theirs))
    if ours.keys() != theirs.keys():
        return False
    for key, mine in ours.items():
        other = theirs[key]
        if math.isnan(mine) and math.isnan(other):
            continue
        if not math.isclose(mine, other, rel_tol=1e-9, abs_tol=1e-12):
            return False
    return True


def reach_back_2(gap: Any, average: Any, to_zero: Any) -> Any:
    """Carry a slope back as Prometheus 2 does: to zero first, then as far as usual.

    Prometheus 3 bounds it the other way round, and so do we; of a counter that has
    just come to be, 2 says more.
    """
    return rates._reach(np.minimum(gap, to_zero), average)


def test_every_rule_and_panel_answers_as_the_real_prometheus(
    ledger: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = run_with_trouble(ledger)
    for name in ("load", "app", "worker"):
        ledger.kill(name)
    os.killpg(ledger.pid("monitor"), signal.SIGTERM)
    ledger.processes._running.pop("monitor").wait(20)
    url = f"http://127.0.0.1:{free_port()}"
    ledger.processes.start(
        "judge",
        [
            judge("prometheus"),
            f"--config.file={empty_config(ledger.directory)}",
            f"--storage.tsdb.path={ledger.directory / 'judge'}",
            f"--web.listen-address={url.removeprefix('http://')}",
            "--web.enable-remote-write-receiver",
        ],
        cwd=ledger.directory,
    )
    ledger.ready(f"{url}/-/ready", "judge")
    if get(f"{url}/api/v1/status/buildinfo")["data"]["version"].startswith("2."):
        monkeypatch.setattr(rates, "reach_back", reach_back_2)  # all else is ours
    store = Store(ledger.directory / "state")
    try:
        series = list(stored(store))
        markers = sum(np.isnan(v) for _, samples in series for _, v in samples)
        assert markers > 50, "a silent target leaves stale markers"
        write(url, series)
        until(lambda: ledger.query(url, "count(up)", ended - 5), 20, "samples there")
        compare(ledger, store, url, begun, ended)
        every_rule_reads_something(ledger, store, url, ended)
    finally:
        store.close()


def off_grid(store: Store, begun: float, ended: float) -> list[int]:
    """Return instants (ms) at which no window of whole seconds ends on a sample.

    Whether the sample on a window's left edge belongs to it is where Prometheus 2 and
    3 differ, so a query that happens to fall on one compares versions, not us.
    """
    taken = {at % 1000 for _, samples in stored(store) for at, _ in samples}
    # 1.37 s is no multiple of the interval: each instant is elsewhere in its second.
    wanted = (int(at * 1000) for at in np.arange(begun, ended, 1.37))
    return [
        next(at for at in range(first, first + 1000) if at % 1000 not in taken)
        for first in wanted
    ]


def compare(ledger: Chain, store: Store, url: str, begun: float, ended: float) -> None:
    """Ask both every expression at instants off the grids of scrapes and rules."""
    engine, snapshot = Engine(), store.snapshot()
    asked = answered = 0
    different = []
    silent = []
    instants = off_grid(store, begun + 2, ended - 1)
    for expr in expressions(ledger.monitoring):
        empty = True
        for at_ms in instants:
            mine = engine.instant(snapshot, expr, at_ms)
            assert isinstance(mine, Vector)
            ours = {tuple(labels): value for labels, value in mine.samples}
            theirs = {
                tuple(sorted(row["metric"].items())): float(row["value"][1])
                for row in ledger.query(url, expr, at_ms / 1000)
            }
            asked += 1
            answered += bool(theirs)
            empty = empty and not theirs
            if not same(expr, ours, theirs):
                different.append((expr, at_ms, ours, theirs))
        print("no data" if empty else "compared", expr)
        if empty:
            silent.append(expr)
    print(f"{asked} questions, {answered} with an answer, {len(different)} different")
    assert not different, different[:2]
    assert answered > asked / 3
    shown = set(expressions(ledger.monitoring, "grafana"))
    assert not shown & set(silent), "a panel without data"


def written(selector: Selector) -> str:
    """Return a selector as text."""
    pairs = (f"{m.name}{m.op}{json.dumps(m.value)}" for m in selector.matchers)
    return f"{{{','.join(sorted(pairs))}}}"


def only_in_trouble(selector: Selector) -> bool:
    """Tell whether a selector is of alerts that fire, or of a drill that runs."""
    said = {(m.name, m.op, m.value) for m in selector.matchers}
    alerts = {("__name__", "=", name) for name in ("ALERTS", LEADS, PAGED)}
    return bool(said & {*alerts, ("job", "=~", "drill-.+")})


def read_by_rules(monitoring: Path) -> set[str]:
    """Return the selectors of all rules that find something when all is calm.

    Without those of the copies made for drills, too.
    """
    found = set()
    for path in (monitoring / "rules").glob("*.yml"):
        if path.name == "drills.yml":
            continue  # their series exist while a drill runs
        for group in rulefile.load(path.read_text(), str(path)).groups:
            for rule in group.rules:
                for one in selectors.names(rule.expr, str(path)):
                    if not only_in_trouble(one):
                        found.add(written(one))
    return found


def every_rule_reads_something(
    ledger: Chain, store: Store, url: str, ended: float
) -> None:
    """A rule is empty when all is calm; what it looks at never is, in either."""
    engine, snapshot, blind = Engine(), store.snapshot(), []
    for selector in sorted(read_by_rules(ledger.monitoring)):
        expr = f"count(last_over_time({selector}[1m]))"
        mine = engine.instant(snapshot, expr, int(ended * 1000))
        theirs = ledger.query(url, expr, ended)
        print(len(mine.samples), len(theirs), selector)
        if not (mine.samples and theirs):
            blind.append(selector)
    assert not blind


def empty_config(directory: Path) -> Path:
    path = directory / "judge.yml"
    path.write_text("global: {}\n")
    return path
