"""Nine faults by the rules as built, on simulated time: one page, one incident each."""

from __future__ import annotations

import random

import pytest
from tests.monitor.oncall.conftest import Night
from tests.support.faults import FAULTS, SITE, WARNED, Shop
from tests.support.plans import OPS, built, planned

from watchroom.formats import alertmanager, rulefile
from watchroom.monitor.rules.manager import RuleManager
from watchroom.monitor.store import Store
from watchroom.promql.engine import Engine
from watchroom.promql.model import labels_of

STEP = 30
MINUTE = 60
SYMPTOMS = {
    "database": {"DatabaseDown", "HealthCheckFailing", "SiteDown", "HighErrorRate"},
    "broker": {"CeleryBrokerDown", "ScheduledTaskOverdue", "SoftHealthCheckFailing"},
    "cache": {"SiteDown", "HighErrorRate", "SoftHealthCheckFailing"},
    "app": {"AppDown", "SiteDown"},
    "disk": {"DiskSpaceLow", "HealthCheckFailing", "SiteDown", "HighErrorRate"},
    "certificate": {"SiteDown", "CertificateUntrusted", "CertificateExpiringSoon"},
    "worker": {"CeleryWorkersDown", "CeleryQueueStuck", "ScheduledTaskOverdue"},
    "beat": {"ScheduledTaskOverdue"},
    "dns": {"DatabaseDown", "CeleryBrokerDown", "SiteDown", "HealthCheckFailing"},
}


class Watch(Night):
    """The rules as built, the store, routing and on-call, one step after the other."""

    def __init__(self, directory, files):
        self.files = files
        self.shop = Shop(STEP)
        self.sent = []
        self.fired = set()
        super().__init__(directory, with_contacts=False)
        self.order = random.Random(7)
        self.store = Store(directory / "samples", now=lambda: self.ms / 1000)
        self.rules = RuleManager(
            state=self.state, store=self.store, engine=Engine(), sink=self.take
        )
        self.rules.load(
            {"r.yml": rulefile.load(files["rules/watchroom.yml"], "r.yml")},
            at_ms=self.ms,
            interval_seconds=STEP,
            external_labels={"env": "production", "project": "shop"},
        )

    def routes(self):
        return alertmanager.load(self.files["alertmanager.yml"], "am.yml")

    def close(self):
        self.store.close()
        self.state.close()

    def take(self, alerts):
        names = {dict(a.labels)["alertname"] for a in alerts if a.ends_at_ms is None}
        self.fired |= names - {"Watchdog", "PageInhibitor"}
        self.dispatcher.receive(alerts, self.ms)
        self.oncall.receive(alerts, self.ms)

    def history(self, minutes):
        """Write a past in which nothing was wrong, without rules over it."""
        for _ in range(minutes * MINUTE // STEP):
            self.ms += STEP * 1000
            self.scrape()

    def scrape(self):
        rows = {}
        for job, name, labels, value in self.shop.scrape(self.ms / 1000):
            instance = SITE if job == "site" and name != "up" else "shop:9000"
            pairs = {"__name__": name, "job": job, "instance": instance, **labels}
            rows.setdefault(job, []).append((labels_of(pairs), value))
        for job, row in rows.items():
            row.sort()
            labels, values = zip(*row, strict=True)
            self.store.append(
                f"{job}-target", self.ms - 1000, list(labels), list(values)
            )

    def passes(self, minutes):
        """Let time pass; note (alert name, priority, status) of each message to ops."""
        for _ in range(int(minutes * MINUTE / STEP)):
            self.scrape()
            # In another order each time, as nobody promises one between groups.
            groups = [key for key, _ in self.rules.groups()]
            self.order.shuffle(groups)
            for key in groups:
                self.rules.evaluate(key, self.ms)
            for ms in range(self.ms, self.ms + STEP * 1000, 1000):
                self.heard(ms)
            self.ms += STEP * 1000

    def heard(self, ms):
        for note in self.dispatcher.advance(ms):
            if note.kind == "send" and note.key.receiver == "ops":
                self.sent.append(
                    [
                        (dict(a.labels)["alertname"], dict(a.labels)["priority"])
                        for a in note.alerts
                        if a.ends_at_ms is None
                    ]
                )
            self.dispatcher.settle(note, accepted=True, now_ms=ms)
        for one in self.oncall.incidents.open() if self.sent else ():
            if one.state == "firing":  # what is said from now on is no mere repeat
                self.actions.acknowledge(one.id, "Anna", "on it")

    def pages(self):
        """Return the alert names of each message that wakes somebody."""
        return [
            {name for name, _ in alerts}
            for alerts in self.sent
            if any(priority == "P1" for _, priority in alerts)
        ]


@pytest.fixture(scope="module")
def files():
    every = OPS._replace(severities=("critical", "warning"))
    return built(planned(interval=f"{STEP}s", receivers=[every]))


@pytest.fixture
def watch(tmp_path, files):
    found = Watch(tmp_path, files)
    found.history(12)
    found.passes(1)
    assert found.sent == []
    yield found
    found.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_one_page_and_one_incident(watch, fault):
    watch.shop.broken = {fault}
    # A certificate that has expired is known for 15 minutes before its own rule fires.
    watch.passes(17 if fault == "certificate" else 8)
    (incident,) = watch.oncall.incidents.open()
    print(fault, watch.pages(), incident.title, incident.names)
    assert len(watch.pages()) == (fault not in WARNED)
    assert set(incident.names) >= SYMPTOMS[fault]
    assert incident.priority == ("P2" if fault in WARNED else "P1")
    assert set(incident.names) == watch.fired


def test_an_end_is_no_new_fault_and_what_begins_later_is(watch):
    watch.shop.broken = {"database"}
    watch.passes(7)
    assert len(watch.pages()) == 1
    watch.shop.broken = set()
    watch.passes(7)  # the windows of some rules empty later than of others
    assert len(watch.pages()) == 1
    watch.shop.broken = {"worker"}
    watch.passes(4)
    assert watch.pages()[1:] == [{"CeleryWorkersDown"}]


def test_what_ends_before_its_page_has_left_mutes_nothing_after_it(watch):
    watch.shop.broken = {"app"}
    watch.passes(1.5)
    assert {"AppDown", "SiteDown"} <= watch.fired
    assert watch.pages() == []  # the page of AppDown still waits
    watch.shop.broken = {"certificate"}  # the site is down for another reason
    watch.passes(2)
    assert watch.pages() == [{"SiteDown"}]


def test_another_fault_long_after_the_first_pages_while_that_goes_on(watch):
    watch.shop.broken = {"certificate"}
    watch.passes(13)
    watch.shop.broken = {"certificate", "worker"}
    watch.passes(4)
    assert watch.pages() == [{"SiteDown"}, {"CeleryWorkersDown"}]
    assert len(watch.oncall.incidents.open()) == 2
