"""Celery goes wrong in each way there is: metric, rule and page move, and back."""

from __future__ import annotations

import os
import re
import signal
import sys
import urllib.request
from contextlib import ExitStack, contextmanager
from html import unescape
from typing import TYPE_CHECKING

import pytest
from tests.support.chain import LEDGER, chain, get
from tests.support.ports import free_port
from tests.support.redis_server import redis_server
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.chain import Chain

pytestmark = pytest.mark.slow

# The ledger with limits that a test can wait for, and an entry of each second.
HASTY = '''"""The ledger in a hurry."""
from ledger.settings import *
CELERY_BEAT_SCHEDULE = {
    "hasty": {"task": "billing.tasks.send_missed", "schedule": 1.0},
    "nightly": CELERY_BEAT_SCHEDULE["nightly report"],
}
# No web process runs: its page would be the first of what the others belong to.
WATCHROOM = {**WATCHROOM, "SITES": [], "VITALS": {
    "AppDown": {"severity": "warning"},
    "CeleryBacklogHigh": {"limit": 5},
    "CeleryQueueStuck": {"limit": "4s"},
    "ScheduledTaskOverdue": {"limit": "4s"},
}}
'''
TILES = {
    "CeleryTaskFailed": "Failed tasks",
    "CeleryBacklogHigh": "Waiting tasks",
    "CeleryWorkersDown": "Task workers",
    "ScheduledTaskOverdue": "Scheduled task delay",
}
MINE = {*TILES, "CeleryQueueStuck", "CeleryBrokerDown"}


@contextmanager
def hasty(tmp_path: Path, **environ: str) -> Iterator[Chain]:
    """Yield a chain whose exporter and monitor run."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "ledger_hasty.py").write_text(HASTY)
    path = os.pathsep.join(
        [str(tmp_path / "more"), str(LEDGER), os.environ.get("PYTHONPATH", "")]
    )
    with chain(tmp_path, PYTHONPATH=path, **environ) as made:
        made.manage("migrate")
        made.environ["DJANGO_SETTINGS_MODULE"] = "ledger_hasty"
        made.processes.environ["DJANGO_SETTINGS_MODULE"] = "ledger_hasty"
        made.build(
            *("--settings", "ledger_hasty", "--interval", "1s"),
            *("--window", "8s", "--for", "1s"),
        )
        made.start_exporter()
        made.start_monitor()
        yield made


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Chain]:
    with hasty(tmp_path) as made:
        yield made


def start(ledger: Chain, name: str, *words: str) -> None:
    argv = [sys.executable, "-m", "celery", "-A", "ledger", name, *words]
    ledger.processes.start(name, argv, cwd=LEDGER)


def firing(ledger: Chain) -> set[str]:
    alerts = get(f"{ledger.monitor}/api/v1/alerts")["data"]["alerts"]
    return {
        alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"
    } & MINE


def page(ledger: Chain, name: str) -> str:
    with urllib.request.urlopen(f"{ledger.monitor}/{name}", timeout=10) as answer:
        return answer.read().decode()


def red(ledger: Chain) -> set[str]:
    """Return which of the tiles are shown as firing."""
    tiles = re.findall(
        r'class="tile (\w+)[^"]*"[^>]*>\s*<h3>([^<]+)</h3>', page(ledger, "board")
    )
    shown = {title: css for css, title in tiles}
    assert shown.keys() >= set(TILES.values())
    return {name for name, title in TILES.items() if shown[title] == "fire"}


def value(ledger: Chain, expr: str) -> float:
    (result,) = ledger.query(ledger.monitor, expr)
    return float(result["value"][1])


def wait(ledger: Chain, names: set[str], what: str) -> None:
    def there() -> bool:
        ledger.processes.check()
        return firing(ledger) == names and red(ledger) == names & TILES.keys()

    try:
        until(there, 60, what)
    except AssertionError:
        print(firing(ledger), red(ledger))
        for name in ("worker", "beat", "exporter"):
            print(ledger.processes.tail(name, 20))
        raise


def test_what_celery_does_wrong_is_seen_paged_shown_and_over(ledger: Chain) -> None:
    start(ledger, "worker", "--concurrency", "2")
    start(ledger, "beat")
    until(
        lambda: ledger.query(
            ledger.monitor, "sum(increase(celery_task_succeeded_total[5s])) > 2"
        ),
        60,
        "scheduled tasks run",
    )
    wait(ledger, set(), "all is calm")

    ledger.manage("fault", "task-failures", "on")
    wait(ledger, {"CeleryTaskFailed"}, "tasks fail")
    ledger.manage("fault", "clear")

    # The worker dies as a whole: beat goes on, so the queue grows by itself.
    ledger.kill("worker", signal.SIGKILL)
    down = {"CeleryWorkersDown", "CeleryBacklogHigh", "CeleryQueueStuck"}
    wait(ledger, down | {"ScheduledTaskOverdue"}, "no worker works")
    assert value(ledger, 'watchroom_processes{role="worker"}') == 0
    assert value(ledger, "celery_queue_length") > 5
    assert value(ledger, "celery_queue_oldest_seconds") > 4

    # Now beat dies and a worker comes back: what waited is done, nothing new is due.
    ledger.kill("beat", signal.SIGKILL)
    start(ledger, "worker", "--concurrency", "2")
    wait(ledger, {"ScheduledTaskOverdue"}, "beat is dead")
    assert value(ledger, 'celery_beat_overdue_seconds{entry="hasty"}') > 4
    assert value(ledger, 'celery_beat_overdue_seconds{entry="nightly"}') == 0
    # The alert was over at fewer than five.
    until(lambda: value(ledger, "celery_queue_length") == 0, 30, "all is done")

    start(ledger, "beat")
    wait(ledger, set(), "all is calm again")
    # Warnings wait half a minute for company, and these were over before.
    ledger.hook.wait("watchroom", "CeleryWorkersDown", "firing", 5)
    ledger.hook.wait("watchroom", "CeleryWorkersDown", "resolved", 60)
    for name in ("worker", "beat"):  # a warm stop would take its time
        ledger.kill(name)


def test_redis_stopped_is_a_broker_that_does_not_answer_until_it_is_back(
    tmp_path: Path,
) -> None:
    port = free_port()
    said = "The Celery broker can't be reached from"
    with ExitStack() as stack:
        with redis_server(port) as url:
            ledger = stack.enter_context(hasty(tmp_path, REDIS_URL=url))

            def up(answer: str) -> bool:
                found = ledger.query(ledger.monitor, "celery_broker_up")
                return [one["value"][1] for one in found] == [answer]

            until(lambda: up("1"), 60, "the broker is seen")
            empty = "celery_queue_length == 0"
            until(lambda: ledger.query(ledger.monitor, empty), 30, "and its queue")
            # Nobody works here, and that is paged before the broker goes.
            ledger.hook.wait("watchroom", "CeleryWorkersDown", "firing", 60)
            assert said not in unescape(page(ledger, "alerts"))
        until(lambda: up("0"), 60, "the broker is gone")
        # The broker is part of the fault that was paged.
        fires = 'ALERTS{alertname="CeleryBrokerDown",alertstate="firing"}'
        until(lambda: ledger.query(ledger.monitor, fires), 60, "its rule fires")
        paged = {m.name for m in ledger.hook.of("watchroom")}
        assert paged == {"CeleryWorkersDown"}
        until(lambda: said in unescape(page(ledger, "alerts")), 30, "the page says so")
        # What is not known is not 0.
        assert ledger.query(ledger.monitor, "celery_queue_length") == []
        with redis_server(port):
            until(lambda: up("1"), 60, "the broker is back")
            until(lambda: not ledger.query(ledger.monitor, fires), 60, "its rule ends")
            until(
                lambda: said not in unescape(page(ledger, "alerts")),
                30,
                "the page forgets it",
            )
