"""From firing groups to incidents and through their states."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.waiting import until

from watchroom.monitor.alert import Alert
from watchroom.monitor.api.received import AlertIn, alert_of
from watchroom.monitor.oncall import incidents as books
from watchroom.monitor.oncall.actions import BadActError
from watchroom.monitor.oncall.incident import RefusedStepError
from watchroom.monitor.oncall.incidents import Incidents
from watchroom.monitor.oncall.records import KEPT_INCIDENTS, Records
from watchroom.monitor.routing.routing import Place
from watchroom.monitor.routing.silences import Silence
from watchroom.monitor.state.database import StateDB
from watchroom.promql.model import Matcher, labels_of

MINUTE = 60_000


def test_a_group_has_one_open_incident_however_many_alerts_and_receivers(night):
    said = night.says(night.alert(route="a"), night.alert(route="b"))
    assert {receiver for receiver, _ in said} == {"pager", "chat"}
    incident = night.only()
    assert (incident.id, incident.state, incident.priority) == (1, "firing", "P1")
    assert incident.title == "HighErrorRate it is"
    assert len(incident.alerts) == 2
    night.says(night.alert("HighLatency"))
    assert len(night.oncall.incidents.open()) == 2


def test_an_outage_began_when_its_expression_first_held(night):
    alert = night.alert()
    night.says(alert._replace(active_at_ms=night.ms - 5 * MINUTE))
    assert night.only().first_failure_ms == night.ms - 5 * MINUTE
    night.recovers(alert)
    ended_ms = night.oncall.incidents.get(1).resolved_ms
    night.ms += 10 * MINUTE
    night.says(night.alert()._replace(active_at_ms=night.ms - 3 * MINUTE))
    assert night.only().first_failure_ms == night.ms - 3 * MINUTE > ended_ms


def test_drills_and_what_is_for_the_record_open_none(night):
    night.says(
        night.alert(job="drill-abc"),
        night.alert("Watchdog", severity="none"),
        night.alert("Info", severity="info"),
    )
    assert night.oncall.incidents.open() == []


def test_the_priority_is_the_worst_of_the_alerts_until_somebody_changes_it(night):
    night.says(night.alert(priority="P2", route="a"))
    assert night.only().priority == "P2"
    night.says(night.alert(priority="P1", route="b"))
    assert night.only().priority == "P1"
    night.actions.prioritise(1, "anna", "P3")
    night.says(night.alert(priority="P1", route="c"))
    assert (night.only().priority, night.only().priority_by) == ("P3", "Anna")


def test_what_was_answered_asks_again_when_it_becomes_a_p1_or_was_mitigated(night):
    night.says(night.alert(priority="P2", route="a"))
    night.actions.acknowledge(1, "anna", "looking")
    night.says(night.alert(priority="P2", route="b"))
    assert night.only().state == "acknowledged", "no worse than what she answered"
    night.says(night.alert(priority="P1", route="c"))
    found = night.only()
    assert (found.state, found.acknowledged_by) == ("firing", "")
    assert found.unacknowledged_ms == night.ms
    night.actions.acknowledge(1, "Ben", "now me")
    night.actions.mitigate(1, "Ben", "rolled back")
    night.says(night.alert(priority="P1", route="d"))
    assert night.only().state == "firing"


def test_every_state_and_who_did_what_when_stays_in_the_timeline(night):
    alert = night.alert()
    night.says(alert)
    actions = night.actions
    actions.acknowledge(1, "anna", "looking")
    with pytest.raises(RefusedStepError, match="already acknowledged by Anna"):
        actions.acknowledge(1, "Ben", "me too")
    actions.note(1, "Ben", "the payment provider answers 500")
    actions.mitigate(1, "Anna", "rolled back")
    with pytest.raises(RefusedStepError, match="still firing: HighErrorRate"):
        actions.resolve(1, "Anna", "done")
    with pytest.raises(RefusedStepError, match="and can't become reviewed"):
        actions.review(1, "Anna", "too early")
    night.ms += MINUTE
    night.recovers(alert)
    assert night.oncall.incidents.get(1).state == "resolved"
    actions.review(1, "Sue", "the runbook names the provider now")
    told = [(e.source, e.kind, e.author) for e in night.timeline()]
    assert told == [
        ("alert", "firing", ""),
        ("monitor", "paged", ""),
        ("person", "acknowledged", "Anna"),
        ("person", "note", "Ben"),
        ("person", "mitigated", "Anna"),
        ("alert", "ended", ""),
        ("monitor", "resolved", ""),
        ("person", "reviewed", "Sue"),
    ]


def test_only_contacts_act_and_they_give_a_reason(night):
    night.says(night.alert())
    with pytest.raises(
        BadActError, match=r"'Eve' isn't in contacts.yml.*Anna, Ben, Sue"
    ):
        night.actions.acknowledge(1, "Eve", "x")
    with pytest.raises(BadActError, match="a reason is missing"):
        night.actions.acknowledge(1, "Anna", "  ")
    with pytest.raises(KeyError):
        night.actions.acknowledge(7, "Anna", "x")
    assert night.only().state == "firing"


def test_a_vanished_series_ends_no_incident(night):
    alert = night.alert()
    night.says(alert)
    night.ms += MINUTE
    night.says(alert._replace(ends_at_ms=night.ms))
    (name,) = night.only().alerts
    night.oncall.incidents.confirm(1, {name: True}, night.ms)
    assert night.only().state == "firing"
    assert "recovery can't be confirmed" in night.timeline()[-1].text
    night.oncall.incidents.confirm(1, {name: True}, night.ms + 1)
    assert len(night.timeline()) == 3, "said once"
    night.restart()
    assert [one.id for one in night.oncall.incidents.unconfirmed()] == [1]
    night.oncall.incidents.confirm(1, {name: False}, night.ms + 2)
    assert night.oncall.incidents.open() == []


def test_somebody_may_close_what_only_lost_its_series(night):
    alert = night.alert()
    night.says(alert)
    night.says(alert._replace(ends_at_ms=night.ms))
    night.oncall.incidents.confirm(
        1, dict.fromkeys(night.only().alerts, True), night.ms
    )
    night.actions.resolve(1, "Anna", "the database was moved on purpose")
    assert night.oncall.incidents.open() == []


def test_a_flapping_group_continues_its_incident_and_has_to_be_answered_again(night):
    for _ in range(20):
        alert = night.alert()
        night.says(alert)
        assert night.only().state == "firing"
        night.actions.acknowledge(1, "Anna", "again")
        night.ms += MINUTE
        night.recovers(alert)
        night.ms += MINUTE
    incident = night.oncall.incidents.get(1)
    assert (incident.id, incident.times) == (1, 20)
    night.ms += books.REOPEN_MS
    night.says(night.alert())
    assert night.only().id == 2
    assert night.only().acknowledged_by == ""


def test_incidents_survive_a_kill_as_they_were(night):
    night.says(night.alert(), night.alert("HighLatency"))
    night.actions.acknowledge(1, "Anna", "on it")
    night.timeline()
    before = night.oncall.incidents.open()
    night.restart()
    assert night.oncall.incidents.open() == before
    night.says(night.alert(), night.alert("HighLatency"))
    assert night.oncall.incidents.open() == before, "what fires on opens nothing new"
    night.says(night.alert("Third"))
    assert [one.id for one in night.oncall.incidents.open()] == [2, 3, 1]


def test_an_alert_that_is_muted_opens_none_until_it_is_heard(night):
    matchers = (Matcher("alertname", "=", "HighErrorRate"),)
    end = night.ms + MINUTE
    asked = Silence("", matchers, night.ms, end, night.ms, "Anna", "known")
    night.silences.put(asked, night.ms)
    night.oncall.receive([night.alert()], night.ms)
    assert night.oncall.incidents.open() == []
    night.ms = end + 1
    night.oncall.receive([night.alert()], night.ms)
    assert night.only().id == 1


def test_what_ends_while_its_page_is_put_together_stays_ended(night):
    silence = Silence(
        "",
        (Matcher("alertname", "=", "Muted"),),
        night.ms,
        night.ms + MINUTE,
        night.ms,
        "Anna",
        "known",
    )
    night.silences.put(silence, night.ms)
    firing = [night.alert("Heard"), night.alert("Muted")]
    for alerts in (firing, [one._replace(ends_at_ms=night.ms) for one in firing]):
        night.dispatcher.receive(alerts, night.ms)
        if alerts is firing:
            night.ms += MINUTE + 1  # the silence is over, nobody has said so yet
            pages = night.dispatcher.advance(night.ms)
        night.oncall.receive(alerts, night.ms)
    texts = [
        dict(a.annotations) for p in pages for a in night.oncall.with_links(p).alerts
    ]
    assert all("incident_url" in one for one in texts), "the first page leads there"
    for one in night.oncall.incidents.unconfirmed():
        night.oncall.incidents.confirm(
            one.id, dict.fromkeys(one.alerts, False), night.ms
        )
    assert night.oncall.incidents.open() == []
    assert "firing again" not in str(night.timeline(1) + night.timeline(2))


def posted(night, name="BackupFailed"):
    """Do what `amtool alert add` does: an alert without an end."""
    labels = {"alertname": name, "severity": "critical", "priority": "P1"}
    alert = alert_of(AlertIn(labels), night.ms, 5 * MINUTE)
    night.dispatcher.take([alert], night.ms)
    night.oncall.receive([alert], night.ms)
    return night.rings()


def judged(night):
    """Look as the monitor does, with nothing to be found of alerts from outside."""
    night.oncall.incidents.end_unreported(night.ms)
    for one in night.oncall.incidents.unconfirmed():
        night.oncall.incidents.confirm(
            one.id, dict.fromkeys(one.alerts, False), night.ms
        )


def test_the_incident_of_an_alert_that_timed_out_resolves_and_opens_again(night):
    assert posted(night)
    night.goes_on(4 * MINUTE)
    assert posted(night) == [], "its sender says so again"
    night.goes_on(4 * MINUTE)
    judged(night)
    assert night.only().state == "firing"
    night.goes_on(2 * MINUTE)
    judged(night)
    assert night.oncall.incidents.get(1).state == "resolved"
    assert [one.kind for one in night.timeline()[-2:]] == ["ended", "resolved"]
    assert posted(night)
    assert (night.only().id, night.only().times) == (1, 2)


def test_what_timed_out_while_it_was_silenced_is_over_as_well(night):
    posted(night)
    night.actions.silence(1, "Anna", "known", 3600)
    night.goes_on(6 * MINUTE)
    judged(night)
    assert night.oncall.incidents.open() == []


def test_what_nobody_speaks_of_after_a_restart_is_over(night):
    posted(night)
    night.says(night.alert())
    night.timeline()
    night.restart()
    night.says(night.alert())
    judged(night)
    assert len(night.oncall.incidents.open()) == 2, "senders have time to say so again"
    night.goes_on(6 * MINUTE)
    judged(night)
    assert night.only().names == ["HighErrorRate"]


def test_a_timeline_is_bounded_and_people_have_room_left_in_it(night, monkeypatch):
    monkeypatch.setattr(books, "MOST_EVENTS", 5)  # not 500 alerts
    monkeypatch.setattr(books, "MOST_NOTES", 7)  # nor 1,000 notes
    for n in range(9):
        night.says(night.alert(route=str(n)))
    assert night.only().events_dropped == 5  # nine alerts, and who was called first
    night.actions.note(1, "Anna", "one")
    night.actions.note(1, "Anna", "two")
    with pytest.raises(RefusedStepError, match="full"):
        night.actions.note(1, "Anna", "three")
    assert len(night.timeline()) == 7
    assert night.oncall.stats()["events_dropped_total"] == 5
    night.actions.acknowledge(1, "Anna", "an answer is never refused for that")
    assert night.timeline()[-1].kind == "acknowledged"


def test_that_it_is_over_stands_in_a_full_timeline_too(night, monkeypatch):
    monkeypatch.setattr(books, "MOST_EVENTS", 5)  # not 500 alerts
    alerts = [night.alert(route=str(n)) for n in range(9)]
    night.says(*alerts)
    assert len(night.timeline()) == 5
    night.recovers(*alerts)
    assert [one.kind for one in night.timeline()[5:]] == ["resolved"]


def test_a_disk_that_hangs_under_a_note_on_an_old_incident_keeps_no_page(night):
    release = threading.Event()
    reader = night.state._reader  # SQLite itself waits, in the middle of a read
    reader.set_progress_handler(lambda: not release.wait(60), 1)
    with ThreadPoolExecutor(2) as threads:
        note = threads.submit(night.actions.note, 77, "Anna", "x")
        until(night.state._reading.locked, what="it reads")
        page = threads.submit(night.says, night.alert())
        try:
            assert page.result(10)
        finally:
            release.set()
        with pytest.raises(KeyError):
            note.result(10)


def test_acts_on_an_old_incident_go_on_from_one_another(night):
    alert = night.alert()
    night.says(alert)
    night.recovers(alert)
    night.ms += 2 * books.REOPEN_MS
    night.says(night.alert("Other"))
    hangs = threading.Event()
    night.state.write(lambda _: hangs.wait(60))  # nothing of it can be read back yet
    try:
        night.actions.review(1, "Sue", "the runbook was changed")
        night.actions.note(1, "Ben", "thank you")
    finally:
        hangs.set()
    kinds = [one.kind for one in night.timeline()]
    assert kinds[-2:] == ["reviewed", "note"]
    found = night.oncall.records.incident(1)
    assert (found.state, found.events) == ("reviewed", len(kinds))


def test_open_incidents_are_bounded_and_counted(night, monkeypatch):
    monkeypatch.setattr(books, "MOST_OPEN", 3)  # not 500 incidents
    said = night.says(*[night.alert(f"A{n}") for n in range(5)])
    assert len(said) == 10, "all are told of, to the pager and the chat"
    assert len(night.oncall.incidents.open()) == 3
    assert night.oncall.stats()["not_opened_total"] >= 2


def test_old_incidents_are_forgotten_and_counted(night, monkeypatch):
    monkeypatch.setattr(  # not 1,000
        "watchroom.monitor.oncall.records.KEPT_INCIDENTS", 3
    )  # not 1,000
    assert KEPT_INCIDENTS == 1000
    for n in range(6):
        alert = night.alert(f"A{n}")
        night.says(alert)
        night.recovers(alert)
    night.timeline()
    assert [one.id for one in night.oncall.records.incidents(10)] == [6, 5, 4, 3]
    assert night.oncall.stats()["forgotten_total"] == 2
    assert night.oncall.records.events(1) == []


def test_an_incident_opened_by_hand_stays_open_until_a_person_resolves_it(night):
    night.actions.open("the office has no power", "P2", "Sue")
    assert (night.only().title, night.only().opened_by) == (
        "the office has no power",
        "Sue",
    )
    night.actions.resolve(1, "Sue", "it has again")
    assert night.oncall.incidents.open() == []


def test_routing_is_asked_once_for_all_that_is_new(tmp_path):
    asked = []

    def places(alerts, _):
        asked.append(len(alerts))
        return [Place((("alertname", "A"),), muted=True) for _ in alerts]

    with StateDB(tmp_path) as state:
        incidents = Incidents(
            Records(state),
            places=places,
            deploys=lambda *_: (),
            now_ms=lambda: 1000,
        )
        storm = [
            Alert(labels_of({"alertname": "A", "n": f"{n}"}), (), 0, None, 0, "")
            for n in range(1000)
        ]
        incidents.receive(storm, 1000)
        assert incidents.open() == []
    assert asked == [1000]


def test_what_has_no_room_in_an_incident_keeps_it_open_and_leads_to_it(night):
    many = [night.alert(route=str(number)) for number in range(books._MOST_ALERTS)]
    night.says(*many)
    beyond = night.alert(route="one more")
    night.ms += MINUTE
    ((_, page), *_) = night.says(*many, beyond)
    assert all("incident_url" in dict(one.annotations) for one in page.alerts)
    dropped = night.oncall.incidents.stats()["events_dropped_total"]
    night.says(beyond)
    assert night.oncall.incidents.stats()["events_dropped_total"] == dropped, "once"
    night.ms += MINUTE
    night.recovers(*many)
    assert night.only().state == "firing", "one still fires"
    with pytest.raises(RefusedStepError, match="are still firing"):
        night.actions.resolve(1, "Anna", "it is over")
    night.ms += MINUTE
    night.recovers(beyond)
    assert night.oncall.incidents.get(1).state == "resolved"


def test_an_incident_has_the_title_of_what_was_paged_for_it(night):
    site = night.alert("SiteDown", vital="SiteDown")
    base = night.alert("DatabaseDown", vital="DatabaseDown")
    both = [one._replace(annotations=(("summary", name), ("symptom_of", "MemoryHigh")))
            for one, name in ((site, "the site"), (base, "the database"))]  # fmt: skip
    night.oncall.receive(both, night.ms)
    assert night.only().title == "the site", "it came first"
    # The page waits, and is for the other.
    night.says(both[1])
    assert night.only().title == "the database"
    night.says(both[0])
    assert night.only().title == "the database"
