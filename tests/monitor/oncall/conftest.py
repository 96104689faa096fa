"""Routing and on-call over a real state.db, on a clock of the test's own."""

from __future__ import annotations

import textwrap

import pytest
from tests.support.listener import listening
from tests.support.oncall import Watched
from tests.support.waiting import until

from watchroom.formats import alertmanager, contacts
from watchroom.monitor.alert import Alert
from watchroom.monitor.dispatch.dispatcher import Dispatcher
from watchroom.monitor.notify.ledger import Ledger
from watchroom.monitor.oncall.acknowledgements import AckForwarder
from watchroom.monitor.oncall.actions import Actions
from watchroom.monitor.oncall.manual import ManualAlerts
from watchroom.monitor.oncall.service import OnCall
from watchroom.monitor.routing.routing import Routing
from watchroom.monitor.routing.silences import Silences
from watchroom.monitor.state.database import StateDB
from watchroom.promql.model import labels_of

ROUTES = """
route:
  receiver: chat
  group_by: [alertname, job]
  group_wait: 0s
  group_interval: 30s
  repeat_interval: 1h
  routes:
    - {receiver: pager, matchers: ['severity="critical"'], continue: true}
    - {receiver: chat, matchers: ['severity="critical"'], continue: true}
receivers:
  - {name: chat, webhook_configs: [{url: "http://127.0.0.1:1/chat"}]}
  - {name: pager, webhook_configs: [{url: "http://127.0.0.1:1/pager"}]}
  - {name: ben, webhook_configs: [{url: "http://127.0.0.1:1/ben"}]}
"""
CONTACTS = """
contacts:
  - {name: Anna, receivers: [pager], role: on call, reach: "+49 30 1"}
  - {name: Ben, receivers: [ben]}
  - {name: Sue, role: support}
"""
SECOND = 1000
MINUTE = 60_000


class Night:
    """A monitor's on-call without its sockets: every message is accepted at once."""

    def __init__(self, directory, *, with_contacts=True):
        self.directory = directory
        self.with_contacts = with_contacts
        self.ms = 1_700_000_000_000
        self.accepts = True
        self.rings_when_answered = False
        self.start()

    def start(self):
        self.state = StateDB(self.directory)
        self.ledger = Ledger(self.state)
        routes = self.routes()
        self.silences = Silences(self.state)
        routing = Routing(routes, self.silences)
        self.oncall = OnCall(
            self.state,
            token="a token of the tests",
            url="https://watch.example/w/",
            places=routing.places,
            contacts=self.contacts([one.name for one in routes.receivers]),
            now=lambda: self.ms / 1000,
        )
        self.dispatcher = Dispatcher(
            routing,
            policy=self.oncall,
            log=self.ledger.notification_log(),
            open_deliveries=self.ledger.open_deliveries(),
        )
        self.manual = ManualAlerts(self.oncall.incidents, self.news, self.oncall.now_ms)
        self.actions = Actions(
            self.oncall.incidents,
            contacts=lambda: self.oncall.contacts,
            silences=self.silences,
            cancel_repeats=self.cancel_repeats,
            manual=self.manual,
            now_ms=self.oncall.now_ms,
        )
        self.renew()

    def contacts(self, receivers):
        if not self.with_contacts:
            return contacts.Contacts()
        return contacts.load(CONTACTS, "contacts.yml", receivers)

    def cancel_repeats(self, fingerprints):
        if self.rings_when_answered:
            self.dispatcher.flush_waiting(fingerprints, self.ms)

    def passed_on(self, tell):
        """Return what passes acknowledgements on to pagers, by `tell`."""
        return AckForwarder(self.oncall.incidents, tell, self.oncall.now_ms)

    def renew(self):
        self.manual.renew({"environment": "staging"})

    def news(self, alerts):
        self.dispatcher.receive(alerts, self.ms)
        self.oncall.receive(alerts, self.ms)

    def routes(self):
        return alertmanager.load(textwrap.dedent(ROUTES), "am.yml")

    def restart(self):
        """Do what a kill and a new process do."""
        self.state.close()
        self.start()

    def alert(self, name="HighErrorRate", *, ended=False, **labels):
        labels = {"severity": "critical", "priority": "P1", "job": "app", **labels}
        texts = (("summary", f"{name} it is"),)
        pairs = labels_of({"alertname": name, **labels})
        end = self.ms if ended else None
        return Alert(pairs, texts, self.ms - SECOND, end, self.ms)

    def says(self, *alerts):
        """Let rules say these alerts now; return (receiver, message) of what leaves."""
        self.news(alerts)
        return self.rings()

    def rings(self):
        said = []
        for note in self.dispatcher.advance(self.ms):
            if note.kind != "send":
                continue
            dressed = self.oncall.with_links(note)
            said.append((note.key.receiver, dressed))
            self.state.write(
                lambda db, note=note: db.execute(
                    "INSERT OR REPLACE INTO notification_log VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        *note.key,
                        str(sorted(note.firing)).replace("'", '"'),
                        str(sorted(note.resolved)).replace("'", '"'),
                        self.ms,
                    ),
                )
            ).result()
            self.dispatcher.settle(note, accepted=self.accepts, now_ms=self.ms)
        return said

    def goes_on(self, ms, step=10 * SECOND):
        """Let time pass, rings and all; return (ms since now, receiver) of messages."""
        began, said = self.ms, []
        while self.ms < began + ms:
            self.ms += step
            said += [(self.ms - began, who) for who, _ in self.rings()]
        return said

    def recovers(self, *alerts):
        """Let alerts end with their series there."""
        said = self.says(*[a._replace(ends_at_ms=self.ms) for a in alerts])
        for incident in self.oncall.incidents.unconfirmed():
            gone = dict.fromkeys(incident.alerts, False)
            self.oncall.incidents.confirm(incident.id, gone, self.ms)
        return said

    def only(self):
        """Return the one open incident."""
        (found,) = self.oncall.incidents.open()
        return found

    def timeline(self, number=1):
        self.state.write(lambda _: None).result()  # everything before is on disk
        return self.oncall.records.events(number)


@pytest.fixture
def night(tmp_path):
    found = Night(tmp_path)
    yield found
    found.state.close()


@pytest.fixture(scope="session")
def watched(tmp_path_factory):
    with listening() as pages:
        found = Watched(tmp_path_factory.mktemp("oncall"), pages)
        found.monitor.start().ready()
        yield found
        found.close()


@pytest.fixture
def calm(watched):
    """Every incident over, nothing firing."""
    watched.target.paths["/metrics"] = "m 1\n"
    until(lambda: watched.incidents() == [], what="calm")
    return watched
