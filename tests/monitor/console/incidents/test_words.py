"""The head of an incident says whose word its state is, when it was and why."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from watchroom.formats.contacts import Contact, Contacts
from watchroom.monitor.alert import Alert
from watchroom.monitor.console.incidents import words
from watchroom.monitor.console.overview.notes import Note
from watchroom.monitor.oncall import transitions
from watchroom.monitor.oncall.incident import Event
from watchroom.monitor.oncall.records import Sent
from watchroom.monitor.routing.silences import Silence

NOW = 1_700_000_000_000
MINUTE = 60_000
FAILED = NOW - 14 * MINUTE


def fires(summary, began_ms=FAILED):
    labels = (("alertname", "A"), ("priority", "P1"), ("severity", "critical"))
    return Alert(labels, (("summary", summary),), began_ms, None, began_ms)


def opened(**changes):
    found = transitions.opened(7, fires("14 % fail"), (), FAILED + 5_000)
    return replace(found, **changes)


def step(kind, author="", text="", source="person", at_ms=NOW):
    return Event(at_ms, source, kind, text, author)


ACKNOWLEDGED = {
    "acknowledged_by": "Demo",
    "acknowledged_ms": NOW - 9 * MINUTE,
    "reason": "looking into it",
}
TIMELINE = [
    step("acknowledged", "Demo", "looking into it", at_ms=NOW - 9 * MINUTE),
    step("note", "Sue", "the provider is down"),
    step("mitigated", "Ben", "failed over to\nthe replica", at_ms=NOW - 3 * MINUTE),
]
ITSELF = step("resolved", "", "every alert of it has ended", "monitor")
OVER = {"resolved_ms": NOW, **ACKNOWLEDGED}
STATES = {
    "firing": (
        {},
        [],
        ("A: 14 % fail", "not acknowledged", None, ""),
    ),
    "acknowledged": (
        ACKNOWLEDGED,
        TIMELINE[:2],
        (
            "Demo is on it. A: 14 % fail",
            *("acknowledged by Demo at", NOW - 9 * MINUTE, ": looking into it"),
        ),
    ),
    "mitigated": (
        {"mitigated_ms": NOW - 3 * MINUTE, **ACKNOWLEDGED},
        TIMELINE,
        (
            "Mitigated, not resolved yet. A: 14 % fail",
            "mitigated by Ben at",
            *(NOW - 3 * MINUTE, ": failed over to the replica"),
        ),
    ),
    "resolved": (
        OVER,
        [*TIMELINE, ITSELF],
        (
            "Resolved after 14 min. A: 14 % fail",
            *("resolved automatically at", NOW, ": every alert of it has ended"),
        ),
    ),
    "reviewed": (
        {"reviewed_ms": NOW + MINUTE, **OVER},
        [*TIMELINE, ITSELF, step("reviewed", "Sue", "the runbook was wrong")],
        (
            "Resolved after 14 min. A: 14 % fail",
            *("reviewed by Sue at", NOW + MINUTE, ": the runbook was wrong"),
        ),
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_shown_with_who_set_it(state):
    changes, events, wanted = STATES[state]
    head = words.head(opened(state=state, **changes), NOW, events)
    first = head.notes[0]
    assert (head.sentence, first.text, first.at_ms, first.after) == wanted


def test_an_incident_that_a_person_resolved_names_that_person_and_not_who_answered():
    events = [*TIMELINE, step("resolved", "Sue", "the office has power again")]
    head = words.head(opened(state="resolved", **OVER), NOW, events)
    assert head.notes[0].text == "resolved by Sue at"


def test_one_whose_data_stopped_is_neither_over_nor_merely_unanswered():
    (name, alert), *_ = opened().alerts.items()
    gone = opened(alerts={name: replace(alert, ended_ms=NOW, series_missing=True)})
    head = words.head(gone, NOW)
    assert (head.symbol, head.state) == ("○", "no data")
    assert head.notes[0].text == (
        "data stopped arriving, so recovery can't be confirmed"
    )


def test_two_outages_of_one_incident_are_two_and_not_one_long_one():
    first = opened(resolved_ms=FAILED + 20_000, state="resolved", **ACKNOWLEDGED)
    began = FAILED + 10 * MINUTE
    again, _ = transitions.reopened(first, fires("31 % fail", began), began + 5000)
    acknowledged = {"acknowledged_ms": began + 74_000, "acknowledged_by": "Demo"}
    over = replace(again, state="resolved", resolved_ms=NOW, **acknowledged)
    head = words.head(over, NOW, [ITSELF])
    assert head.sentence == "Resolved after 4 min. A: 31 % fail"
    assert (began, FAILED) == (over.first_failure_ms, over.first_ms)
    assert [note.text for note in head.notes[1:]] == [
        "first failure at",
        "1 earlier outage, the last resolved after 20 s at",
        "fired 2 times",
    ]


def test_a_sentence_names_the_alert_whose_summary_it_quotes():
    labels = (("alertname", "B"), ("priority", "P1"), ("severity", "critical"))
    alert = Alert(labels, (("summary", "Outage: 57% fail"),), FAILED, None, FAILED)
    both, _ = transitions.joined(opened(), alert, (), NOW)
    paged = transitions.titled(both, alert, ())
    assert paged.names == ["A", "B"]
    assert words.head(paged, NOW).sentence == "B: Outage: 57% fail"
    assert words.head(opened(), NOW).sentence == "A: 14 % fail"


def test_an_active_silence_is_shown_and_not_offered_again():
    silence = Silence("s", (), 0, NOW + MINUTE, 0, "Sue", "the nightly export")
    head = words.head(opened(), NOW, (), [silence])
    assert head.silenced
    assert head.notes[-1] == Note(
        "silenced by Sue until", NOW + MINUTE, ": the nightly export"
    )
    assert not words.head(opened(), NOW).silenced


def test_receivers_are_told_with_the_people_behind_them_and_since_the_last_outage():
    contacts = Contacts(contacts=[Contact("Anna", ["ops"]), Contact("Ben", ["ops"])])
    first = opened(resolved_ms=FAILED + 20_000, state="resolved")
    again, _ = transitions.reopened(first, fires("x"), NOW - 9_000)
    sent = [Sent("ops", "firing", "sent", NOW - 8_000, NOW - 6_000, 1, "")]
    earlier = Sent("ops", "firing", "sent", FAILED + 6000, FAILED + 6000, 1, "")
    (one,) = words.receivers(again, [*sent, earlier], contacts)
    assert (one.people, one.words) == (
        "Anna, Ben",
        "delivered 3 s after the incident opened; not acknowledged",
    )
    (one,) = words.receivers(again, [earlier], contacts)
    assert one.words == "delivered before it fired again; not acknowledged"
