"""The dead man's switch: no heartbeat while a rule group stands still."""

from __future__ import annotations

import pytest

from watchroom.errors import StoreError
from watchroom.formats import alertmanager
from watchroom.monitor.dispatch.dispatcher import Dispatcher
from watchroom.monitor.dispatch.policy import RouteOnly
from watchroom.monitor.dispatch.watchdog import WatchdogPolicy
from watchroom.monitor.routing.routing import Routing

RULES = """
groups:
  - {name: watch, rules: [{alert: Watchdog, expr: vector(1)}]}
  - {name: app, rules: [{alert: Down, expr: x > 0}]}
"""
ROUTES = """
route:
  receiver: ops
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1m
  repeat_interval: 50s
  routes: [{receiver: heartbeat, matchers: ['alertname="Watchdog"']}]
receivers:
  - {name: ops, webhook_configs: [{url: "http://127.0.0.1:1/"}]}
  - name: heartbeat
    webhook_configs: [{url: "http://127.0.0.1:1/", send_resolved: false}]
"""


class Watched:
    """Rules and the routing of their alerts."""

    def __init__(self, bench):
        self.bench = bench(RULES)
        self.rules = self.bench.rules
        self.ahead = 0.0
        self.dispatcher = Dispatcher(
            Routing(alertmanager.load(ROUTES, "am.yml")),
            policy=WatchdogPolicy(
                RouteOnly(), self.rules.loaded.ages, lambda: self.ahead
            ),
        )
        self.at = 0

    def heard(self, seconds, *groups):
        """Evaluate these groups for `seconds`; return how often each receiver heard."""
        counts = {"heartbeat": 0, "ops": 0}
        for at in range(self.at, self.at + seconds, 5):
            self.bench.sent.clear()
            self.bench.store.put(at * 1000, "x", 1)
            for key, _ in self.rules.groups():
                if key.name in groups:
                    self.rules.evaluate(key, at * 1000)
            for alerts in self.bench.sent:
                self.dispatcher.receive(alerts, at * 1000)
            for notification in self.dispatcher.advance(at * 1000):
                self.dispatcher.settle(notification, accepted=True, now_ms=at * 1000)
                assert notification.status == "firing"
                counts[notification.key.receiver] += 1
        self.at += seconds
        return counts

    def wait(self, seconds):
        """Let time go by without an evaluation."""
        for group in self.rules.loaded.groups.values():
            group.seen -= seconds


@pytest.fixture
def watched(bench):
    return Watched(bench)


@pytest.mark.parametrize("hangs", ["watch", "app"])
def test_the_heartbeat_ends_with_the_evaluation_of_any_group(watched, hangs):
    (goes_on,) = {"watch", "app"} - {hangs}
    assert watched.heard(600, "watch", "app") == {"heartbeat": 10, "ops": 10}
    watched.wait(50)
    assert watched.heard(60, goes_on)["heartbeat"] == 1
    watched.wait(20)
    # What fires goes on firing: only the heartbeat is withheld.
    assert watched.heard(600, goes_on) == {"heartbeat": 0, "ops": 10}
    assert watched.heard(600, "watch", "app") == {"heartbeat": 10, "ops": 10}


def test_a_group_that_is_evaluated_seldom_does_not_stand_still(watched):
    text = RULES.replace("name: app,", "name: app, interval: 5m,")
    watched.bench.load(text, 0)
    watched.heard(5, "watch", "app")
    watched.wait(19 * 60)
    assert watched.heard(600, "watch")["heartbeat"] == 10
    watched.wait(61)
    assert watched.heard(600, "watch")["heartbeat"] == 0


def test_a_group_whose_samples_cannot_be_read_counts_as_stalled(watched):
    assert watched.heard(60, "watch", "app")["heartbeat"] == 1
    watched.wait(61)

    def unreadable(*_):
        raise StoreError("samples.db: disk I/O error")

    watched.bench.store.select = unreadable  # no disk fails on demand
    assert watched.heard(60, "watch", "app")["heartbeat"] == 0
    del watched.bench.store.select
    assert watched.heard(60, "watch", "app")["heartbeat"] == 1


def test_while_the_store_refuses_samples_no_heartbeat_is_sent(watched):
    assert watched.heard(60, "watch", "app")["heartbeat"] == 1
    watched.ahead = 3600.0
    assert watched.heard(600, "watch", "app") == {"heartbeat": 0, "ops": 10}
    watched.ahead = 0.0
    assert watched.heard(60, "watch", "app")["heartbeat"] == 1
