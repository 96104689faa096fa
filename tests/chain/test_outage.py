"""The app is gone, or stands still: somebody is told, with default settings."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from tests.support.chain import get, until

if TYPE_CHECKING:
    from tests.support.chain import Chain

pytestmark = [pytest.mark.judge, pytest.mark.slow]
SENDERS = ("watchroom", "alertmanager")


def start(ledger: Chain) -> None:
    """Start everything as built by default, and wait until both pairs are calm."""
    ledger.build()
    ledger.start_exporter()
    ledger.start_app()
    ledger.start_load(10)
    ledger.start_monitor()
    ledger.start_pair()
    for server in (ledger.monitor, ledger.prometheus):
        until(
            lambda s=server: ledger.query(
                s, 'probe_success == 1 and on() watchroom_processes{role="web"} == 4'
            ),
            40,
            f"{server} sees site and workers",
        )


def test_gunicorn_killed_as_a_whole_pages_within_90_seconds(ledger: Chain) -> None:
    start(ledger)
    ledger.kill("app")
    killed = time.time()
    for name in ("AppDown", "SiteDown"):
        for sender in SENDERS:
            page = ledger.hook.wait(sender, name, "firing", 100)
            took = page.at - killed
            print(f"{name} by {sender}: {took:.1f} s after the kill")
            assert took < 90


def test_an_app_that_stands_still_is_paged_though_its_processes_live(
    ledger: Chain,
) -> None:
    start(ledger)
    # Stopped, not dead: the locks are held, the sockets accept, nothing answers.
    os.killpg(ledger.pid("app"), signal.SIGSTOP)
    stopped = time.time()
    for sender in SENDERS:
        page = ledger.hook.wait(sender, "SiteDown", "firing", 100)
        print(f"SiteDown by {sender}: {page.at - stopped:.1f} s after the stop")
    alerts = get(f"{ledger.monitor}/api/v1/alerts")["data"]["alerts"]
    assert "AppDown" not in {a["labels"]["alertname"] for a in alerts}
