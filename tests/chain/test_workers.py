"""Many workers, one killed, half restarted with another limit: the sum is right.

Two gunicorns with two workers each share one project and one runtime directory, as
instances of one service on one host do.
"""

from __future__ import annotations

import http.client
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest
from tests.support.chain import LEDGER, chain, children
from tests.support.ports import free_port
from tests.support.waiting import until

from watchroom.formats import exposition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.chain import Chain

pytestmark = pytest.mark.slow

COUNTED = ("http_request_duration_seconds", "http_requests_total")
CHANGED = '''"""The ledger with another latency limit."""
from ledger.settings import *
WATCHROOM = {**WATCHROOM, "VITALS": {"HighLatency": {"limit": "3s"}}}
'''


class Pair:
    """Two gunicorns, each on a port of its own."""

    def __init__(self, ledger: Chain) -> None:
        self.ledger = ledger
        self.urls = {name: f"http://127.0.0.1:{free_port()}/" for name in "ab"}

    def start(self, name: str, settings: str = "ledger.settings") -> None:
        bind = self.urls[name].removeprefix("http://").rstrip("/")
        environ = self.ledger.processes.environ
        environ["DJANGO_SETTINGS_MODULE"] = settings
        environ["LEDGER_WORKERS"] = "2"
        self.ledger.processes.start(
            name,
            [sys.executable, "-m", "gunicorn", "ledger.wsgi", "--bind", bind],
            cwd=LEDGER,
        )
        environ["DJANGO_SETTINGS_MODULE"] = "ledger.settings"
        self.ledger.ready(f"{self.urls[name]}no-such-page/", name, status=404)

    def stop(self, name: str) -> None:
        """Stop one gunicorn gracefully."""
        process = self.ledger.processes._running.pop(name)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


class Client:
    """Asks from several threads and counts exactly what came back."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.got: Counter[str] = Counter()
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(2)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def served(self) -> int:
        """Return how many answers came."""
        return sum(count for status, count in self.got.items() if status.isdigit())

    def stop(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join()

    def ask(self, path: str) -> str:
        try:
            with urllib.request.urlopen(self.url + path, timeout=15) as answer:
                answer.read()
                return str(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                error.read()
                return str(error.code)
        except ConnectionRefusedError:
            return "refused"
        except urllib.error.URLError as error:
            refused = isinstance(error.reason, ConnectionRefusedError)
            return "refused" if refused else "cut"
        except (OSError, http.client.HTTPException):  # the latter: cut in its body
            return "cut"

    def _run(self) -> None:
        paths = ("invoices/", "customers/", "no-such-page/", "journal/")
        number = 0
        while not self.over.is_set():
            number += 1
            status = self.ask(paths[number % len(paths)])
            with self._lock:
                self.got[status] += 1
            if status == "refused":
                time.sleep(0.05)


class Scrapes:
    """What the exporter said, scrape after scrape."""

    def __init__(self, exporter: str) -> None:
        self.url = f"{exporter}/metrics"
        self.seen: list[dict[tuple[str, exposition.Labels], float]] = []

    def take(self) -> dict[tuple[str, exposition.Labels], float]:
        with urllib.request.urlopen(self.url, timeout=10) as answer:
            text = answer.read().decode()
        self.seen.append({(s.name, s.labels): s.value for s in exposition.parse(text)})
        return self.seen[-1]

    def total(self, **labels: str) -> float:
        """Return the sum of http_requests_total now, of series with `labels`."""
        return sum(
            value
            for (name, pairs), value in self.take().items()
            if name == "http_requests_total" and labels.items() <= dict(pairs).items()
        )

    def until_over(self, over: threading.Event) -> None:
        while not over.wait(0.15):
            self.take()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    (tmp_path / "changed").mkdir()
    (tmp_path / "changed" / "ledger_changed.py").write_text(CHANGED)
    path = os.pathsep.join([str(tmp_path / "changed"), os.environ["PYTHONPATH"]])
    with chain(tmp_path, PYTHONPATH=path) as ledger:
        ledger.manage("migrate")
        ledger.manage("seed")
        ledger.start_exporter()
        yield Pair(ledger)


def check_histograms(seen: list[dict[tuple[str, exposition.Labels], float]]) -> None:
    """Each series only grows, buckets are cumulative, count is the last bucket."""
    last: dict[tuple[str, exposition.Labels], float] = {}
    for scrape in seen:
        buckets: dict[tuple[str, exposition.Labels], list[tuple[float, float]]]
        buckets = defaultdict(list)
        for (name, labels), value in scrape.items():
            if not name.startswith(COUNTED):
                continue
            assert value >= last.get((name, labels), 0), (name, labels)
            last[name, labels] = value
            if name.endswith("_bucket"):
                rest = tuple(pair for pair in labels if pair[0] != "le")
                buckets[name, rest].append((float(dict(labels)["le"]), value))
        for (name, rest), row in buckets.items():
            row.sort()
            counts = [value for _, value in row]
            assert counts == sorted(counts), (name, rest, row)
            assert counts[-1] == scrape[name.replace("_bucket", "_count"), rest]


def test_sums_hold_over_a_kill_and_a_rolling_change_of_a_limit(pair: Pair) -> None:
    ledger = pair.ledger
    pair.start("a")
    pair.start("b")
    scrapes = Scrapes(ledger.exporter)
    begun_with = scrapes.total()
    clients = [Client(url) for url in pair.urls.values()]
    over = threading.Event()
    watcher = threading.Thread(target=scrapes.until_over, args=(over,))
    watcher.start()
    for client in clients:
        client.start()

    def more(count: int) -> None:
        goal = min(client.served() for client in clients) + count
        until(
            lambda: min(client.served() for client in clients) >= goal,
            90,
            f"{count} more answers from each",
        )

    try:
        more(400)
        os.kill(children(ledger.pid("a"))[0], signal.SIGKILL)
        more(400)
        pair.stop("b")  # clients go on and are refused meanwhile
        pair.start("b", "ledger_changed")
        more(400)
    finally:
        for client in clients:
            client.stop()
        over.set()
        watcher.join()
    got = clients[0].got + clients[1].got
    served = clients[0].served() + clients[1].served()
    # `start` asks until it is answered once more: that answer is not a client's.
    total, lost = scrapes.total() - begun_with - 1, scrapes.total(status="lost")
    print(f"answers {dict(got)}, counted {total:.0f}, of them lost {lost:.0f}")
    assert served > 2000
    # A request that was cut had begun in the killed worker (then it is lost) or was
    # still in its queue (then nobody counted it).
    assert served <= total <= served + got["cut"]
    assert lost <= got["cut"]
    check_histograms(scrapes.seen)
    last = scrapes.take()
    edges = {
        dict(labels)["le"]
        for name, labels in last
        if name == "http_request_duration_seconds_bucket"
    }
    assert {"2.0", "3.0"} & edges, "the changed limit is an edge"
    # No answer took a second, so no bucket may say that one did: no false quantile.
    for (name, labels), value in last.items():
        if name == "http_request_duration_seconds_bucket" and ("le", "5.0") in labels:
            rest = tuple(p for p in labels if p[0] != "le")
            whole = last["http_request_duration_seconds_count", rest]
            assert value == whole, labels


def test_what_a_killed_worker_had_in_flight_is_lost_and_counted_once(
    pair: Pair,
) -> None:
    ledger = pair.ledger
    pair.start("a")
    scrapes = Scrapes(ledger.exporter)
    ledger.app = pair.urls["a"]
    ledger.fault(**{"slow-responses": "3s"})
    client = Client(pair.urls["a"])
    results: list[str] = []
    asking = threading.Thread(target=lambda: results.append(client.ask("invoices/")))
    asking.start()

    def in_flight() -> bool:
        return any(
            name == "http_requests_in_flight" and value > 0
            for (name, _), value in scrapes.take().items()
        )

    until(in_flight, 10, "the request is in flight")
    for pid in children(ledger.pid("a")):
        os.kill(pid, signal.SIGKILL)
    asking.join()
    assert results == ["cut"]
    until(lambda: scrapes.total(status="lost") == 1, 10, "it is counted as lost")
    for _ in range(3):
        assert scrapes.total(status="lost") == 1
    assert not in_flight()
