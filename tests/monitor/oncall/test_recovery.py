"""Ended alerts over the real store: recovered, unseen, or not to be found out."""

from __future__ import annotations

import asyncio

import pytest

from watchroom.monitor.queries import Queries
from watchroom.monitor.store import Store
from watchroom.promql.engine import Engine
from watchroom.promql.model import labels_of

MINUTE = 60_000
HOUR = 60 * MINUTE
EXPRS = {
    "TooManyRequests": "sum(rate(http_requests_total[5m])) > 5",
    "DiskFull": "disk < 0.1",
}


def series(**labels):
    return labels_of({"__name__": "http_requests_total", "job": "app", **labels})


class Looking:
    """A night whose rules look at many series of one job and one of another."""

    def __init__(self, night, store):
        self.night = night
        self.store = store
        self.exprs = {name: [expr] for name, expr in EXPRS.items()}
        self.routes = [series(route=f"{n}") for n in range(100)]
        self.disk = [labels_of({"__name__": "disk", "job": "app"})]

    def scrapes(self, ms, *, app=True):
        """Let time pass, scraped every minute."""
        for _ in range(ms // MINUTE):
            self.night.ms += MINUTE
            at = self.night.ms
            self.store.append("node", at, self.disk, [1.0])
            if app:
                self.store.append("app", at, self.routes, [at / 1000] * 100)

    def look(self):
        async def story():
            queries = Queries(self.store, Engine())
            await self.night.oncall.check_recovery(queries, lambda: self.exprs)
            queries.close()

        asyncio.run(story())

    def states(self):
        incidents = self.night.oncall.incidents
        return [incidents.get(number).state for number in (1, 2)]


@pytest.fixture
def looking(night, tmp_path):
    most = 1000  # not 50 million
    store = Store(tmp_path / "samples", now=lambda: night.ms / 1000, max_cells=most)
    yield Looking(night, store)
    store.close()


def test_a_rule_over_more_series_than_can_be_read_over_hours_is_judged(looking):
    night = looking.night
    alerts = [night.alert(name) for name in EXPRS]
    night.says(*alerts)
    looking.scrapes(5 * HOUR)
    night.says(*[one._replace(ends_at_ms=night.ms) for one in alerts])
    looking.scrapes(MINUTE)
    looking.look()
    assert looking.states() == ["resolved", "resolved"]


def test_series_that_vanished_long_before_the_end_are_missed_all_the_same(looking):
    night = looking.night
    alerts = [night.alert(name) for name in EXPRS]
    night.says(*alerts)
    looking.scrapes(2 * HOUR)
    looking.scrapes(HOUR, app=False)
    night.says(*[one._replace(ends_at_ms=night.ms) for one in alerts])
    looking.look()
    assert looking.states() == ["firing", "resolved"]
    assert "recovery can't be confirmed" in night.timeline(1)[-1].text


def test_what_cannot_be_found_out_keeps_only_its_own_incident_open(looking):
    night = looking.night
    alerts = [night.alert(name) for name in EXPRS]
    night.says(*alerts)
    looking.routes += [series(zone=f"{n}") for n in range(900)]
    for _ in range(5):
        night.ms += MINUTE
        looking.store.append("app", night.ms, looking.routes, [1.0] * 1000)
    night.says(*[one._replace(ends_at_ms=night.ms) for one in alerts])
    looking.look()
    assert looking.states() == ["firing", "resolved"]
    assert night.oncall.stats()["looks_failed_total"] == 1


def test_an_outage_nobody_could_judge_to_be_over_does_not_answer_for_the_next(night):
    alert = night.alert()
    night.says(alert)
    night.actions.acknowledge(1, "Anna", "on it")
    night.says(alert._replace(ends_at_ms=night.ms))
    night.goes_on(180 * MINUTE)
    night.says(night.alert())
    assert (night.only().state, night.only().acknowledged_by) == ("firing", "")
    heard = {who for _, who in night.goes_on(11 * MINUTE)}
    assert heard == {"pager", "ben"}
