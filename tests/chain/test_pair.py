"""The embedded monitor and the real pair say the same about the same faults."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.support.chain import get
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.chain import Chain

pytestmark = [pytest.mark.judge, pytest.mark.slow]


FIRING = 'ALERTS{{alertname="{}",alertstate="firing"}}'


class States(threading.Thread):
    """Writes down each change of state of each alert, as a server tells it."""

    def __init__(self, server: str) -> None:
        super().__init__()
        self.server = server
        self.seen: dict[tuple[str, str], list[str]] = {}
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.15):
            try:
                alerts = get(f"{self.server}/api/v1/alerts")["data"]["alerts"]
            except OSError:
                continue
            now = {}
            for alert in alerts:
                labels = alert["labels"]
                now[labels["alertname"], labels.get("job", "")] = alert["state"]
            for key in {*self.seen, *now}:
                states = self.seen.setdefault(key, [])
                state = now.get(key, "inactive")
                if not states or states[-1] != state:
                    states.append(state)


def fired(seen: dict[tuple[str, str], list[str]]) -> dict[tuple[str, str], list[str]]:
    """Return the states of what fired, from the pending that led there to its end."""
    found = {}
    for key, states in seen.items():
        text = " ".join(states).replace("pending inactive ", "")
        if "firing" in states:
            found[key] = text.removesuffix(" pending inactive").split()
    return found


def test_the_same_alerts_reach_the_same_webhook_in_the_same_order(
    ledger: Chain,
) -> None:
    # The switches' own page never fails: a probe that meets a random failure on one
    # side only would tell two stories.
    ledger.processes.environ["LEDGER_SITES"] = f"{ledger.app}faults/"
    ledger.processes.environ["LEDGER_HEALTH_URL"] = ledger.app
    ledger.build("--interval", "1s", "--window", "15s", "--for", "4s")
    ledger.start_exporter()
    ledger.start_app()
    ledger.start_worker()
    ledger.start_load(25)
    ledger.start_monitor()
    ledger.start_pair()
    both = (ledger.monitor, ledger.prometheus)
    for server in both:
        until(
            lambda s=server: ledger.query(s, "job:http_requests:rate15s > 0"),
            40,
            f"{server} sees traffic",
        )
    # What fired while the app was starting is over on both before they are compared.
    for server in both:
        until(
            lambda s=server: (
                {
                    a["labels"]["alertname"]
                    for a in get(f"{s}/api/v1/alerts")["data"]["alerts"]
                }
                == {"Watchdog"}
            ),
            60,
            f"{server} is calm",
        )
    ledger.hook.messages.clear()
    watchers = [States(server) for server in both]
    for watcher in watchers:
        watcher.start()
    try:
        ledger.fault(**{"errors": "40%", "cache-misses": "on"})
        for sender in ("watchroom", "alertmanager"):
            ledger.hook.wait(sender, "HighErrorRate", "firing", 60)
        for server in both:
            until(
                lambda s=server: ledger.query(s, FIRING.format("CacheHitRateLow")),
                60,
                f"{server} sees the cache miss",
            )
        ledger.fault(**{"errors": None, "cache-misses": None})
        for sender in ("watchroom", "alertmanager"):
            ledger.hook.wait(sender, "HighErrorRate", "resolved", 120)
        for server in both:
            until(
                lambda s=server: not ledger.query(s, FIRING.format("CacheHitRateLow")),
                60,
                f"{server} sees the cache hit",
            )
        time.sleep(1)
    finally:
        for watcher in watchers:
            watcher.over.set()
            watcher.join()
    embedded, real = (watcher.seen for watcher in watchers)
    assert ("SoftHealthCheckFailing", "app") not in real
    for name in ("HighErrorRate", "CacheHitRateLow"):
        assert real[name, "app"] == ["pending", "firing", "inactive"]
    # Each probes the site and the health checks for itself, so one answer that was late
    # on a busy machine can be pending on one side for a moment; what fires must be the
    # same, and no probe meets the faults (faults/ never fails, the check's key stays).
    assert fired(embedded) == fired(real)
    # A warning waits 30 s for company, so only critical pages are a matter of order.
    told = {
        sender: [
            (m.name, m.status)
            for m in ledger.hook.of(sender)
            if m.labels["severity"] == "critical"
        ]
        for sender in ("watchroom", "alertmanager")
    }
    assert told["watchroom"] == told["alertmanager"]
    first = {
        sender: ledger.hook.of(sender, "HighErrorRate")[0]
        for sender in ("watchroom", "alertmanager")
    }
    assert first["watchroom"].labels == first["alertmanager"].labels
    ours, theirs = (first[s].annotations for s in ("watchroom", "alertmanager"))
    # Incidents are the monitor's own.
    assert ours.keys() - {"ack_url", "incident_url"} == theirs.keys()
    # The values in the texts differ by the instant of evaluation; the rest does not.
    assert ours["runbook_url"] == theirs["runbook_url"]
