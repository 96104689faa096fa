"""Rules over the real store: what they write can be asked for, and is kept."""

from __future__ import annotations

import pytest

from watchroom.formats import rulefile
from watchroom.monitor.rules.manager import RuleManager
from watchroom.monitor.state.database import StateDB
from watchroom.monitor.store import Store
from watchroom.promql.engine import Engine
from watchroom.promql.model import labels_of

EPOCH = 1_700_000_000
RULES = """
groups:
  - name: g
    rules:
      - record: "job:errors:increase1m"
        expr: "sum by (job) (increase(errors_total[1m]))"
      - {alert: Errors, expr: "job:errors:increase1m > 30", for: 30s}
"""


class Machine:
    """A store, a state and rules; `kill` leaves the files as they are."""

    def __init__(self, directory):
        self.directory = directory
        self.second = 0
        self.sent = []
        self.boot()

    def boot(self):
        self.store = Store(self.directory / "samples", now=lambda: EPOCH + self.second)
        self.state = StateDB(self.directory)
        self.rules = RuleManager(
            state=self.state, store=self.store, engine=Engine(), sink=self.sent.append
        )
        self.rules.load(
            {"r.yml": rulefile.load(RULES, "r.yml")},
            at_ms=(EPOCH + self.second) * 1000,
            interval_seconds=5,
            external_labels={},
        )

    def close(self):
        self.store.close()
        self.state.close()

    def run(self, seconds, value):
        """Go on for `seconds`; `value` maps the second to the counter."""
        ((key, _),) = self.rules.groups()
        for second in range(self.second + 5, self.second + seconds + 5, 5):
            self.second = second
            at_ms = (EPOCH + self.second) * 1000
            series = labels_of({"__name__": "errors_total", "job": "api"})
            self.store.append("t", at_ms - 1000, [series], [value(self.second)])
            assert self.rules.evaluate(key, at_ms).errors == 0

    def ask(self, expr):
        """Return the vector of `expr` now: labels → value."""
        at_ms = (EPOCH + self.second) * 1000
        found = Engine().instant(self.store.snapshot(), expr, at_ms)
        return {
            "".join(f"{k}={v};" for k, v in labels): value
            for labels, value in found.samples
        }


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    made.close()


def test_records_and_alerts_are_series_that_end(machine):
    machine.run(120, lambda s: s)  # one error a second
    record = machine.ask("job:errors:increase1m")
    assert record == {"__name__=job:errors:increase1m;job=api;": pytest.approx(60)}
    alerts = machine.ask("ALERTS")
    assert list(alerts) == [
        "__name__=ALERTS;alertname=Errors;alertstate=firing;job=api;"
    ]
    pending = machine.ask('count_over_time(ALERTS{alertstate="pending"}[5m])')
    assert list(pending.values()) == [6.0]
    machine.run(120, lambda _: 120)
    assert machine.ask("ALERTS") == {}
    assert machine.ask("job:errors:increase1m")


def test_a_restart_in_the_middle_changes_nothing(machine):
    machine.run(60, lambda s: s)
    ((before,),) = (rule.alerts for rule in machine.rules.loaded.views()[0].rules[1:])
    assert before.state == "pending"
    machine.close()
    machine.boot()
    ((after,),) = (rule.alerts for rule in machine.rules.loaded.views()[0].rules[1:])
    # The value on disk is that of the last change of state, until the next evaluation.
    assert after._replace(value=before.value) == before
    machine.run(30, lambda s: s)
    assert [a.state for a in machine.rules.loaded.alerts()] == ["firing"]
    assert machine.sent[-1][0].starts_at_ms - before.active_at_ms == 30_000
