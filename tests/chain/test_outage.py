"""The app is gone, or stands still: somebody is told, with default settings."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.support.chain import chain, get
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.chain import Chain

pytestmark = [pytest.mark.judge, pytest.mark.slow]
SENDERS = ("watchroom", "alertmanager")


def start(ledger: Chain) -> None:
    """Start everything as built by default."""
    ledger.build()
    ledger.start_exporter()
    ledger.start_app()
    ledger.start_load(10)
    ledger.start_monitor()
    ledger.start_pair()


def until_calm(ledger: Chain) -> None:
    """Wait until both pairs see the site and its workers."""
    for server in (ledger.monitor, ledger.prometheus):
        until(
            lambda s=server: ledger.query(
                s, 'probe_success == 1 and on() watchroom_processes{role="web"} == 4'
            ),
            40,
            f"{server} sees site and workers",
        )


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Chain, Chain]]:
    """Two ledgers watched side by side, so that both outages are waited for at once."""
    with ExitStack() as stack:
        made = []
        for name in ("killed", "stopped"):
            (tmp_path / name).mkdir()
            made.append(stack.enter_context(chain(tmp_path / name)))
            made[-1].manage("migrate")
            made[-1].manage("seed")
        yield made[0], made[1]


def test_an_app_killed_as_a_whole_or_standing_still_pages_within_90_seconds(
    two: tuple[Chain, Chain],
) -> None:
    killed, stopped = two
    for ledger in two:
        start(ledger)
    for ledger in two:
        until_calm(ledger)
    begun = time.time()
    killed.kill("app")
    # Stopped, not dead: the locks are held, the sockets accept, nothing answers.
    os.killpg(stopped.pid("app"), signal.SIGSTOP)
    for ledger, how, name in (
        (killed, "killed", "AppDown"),
        (stopped, "stopped", "SiteDown"),
    ):
        for sender in SENDERS:
            page = ledger.hook.wait(sender, name, "firing", 100)
            took = page.at - begun
            print(f"{how}: {name} by {sender} after {took:.1f} s")
            assert took < 90
    # The dead app's site is down as well, and nobody is called twice for that.
    site = 'ALERTS{alertname="SiteDown",alertstate="firing"}'
    for server in (killed.monitor, killed.prometheus):
        until(lambda s=server: killed.query(s, site), 60, f"SiteDown on {server}")
    time.sleep(20)
    for sender in SENDERS:
        pages = [m for m in killed.hook.of(sender) if m.labels["priority"] == "P1"]
        assert [(m.name, m.status) for m in pages] == [("AppDown", "firing")]
    (incident,) = get(f"{killed.monitor}/api/v1/watchroom/incidents")["data"]
    names = {alert["labels"]["alertname"] for alert in incident["alerts"]}
    assert {"AppDown", "SiteDown"} <= names
    alerts = get(f"{stopped.monitor}/api/v1/alerts")["data"]["alerts"]
    assert "AppDown" not in {a["labels"]["alertname"] for a in alerts}
