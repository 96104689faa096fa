"""The first sentence says what is wrong, since when, and who knows."""

from __future__ import annotations

from msgspec.structs import replace

from watchroom.monitor.alert import Alert
from watchroom.monitor.console.overview.changes import changes
from watchroom.monitor.console.overview.notes import Note
from watchroom.monitor.console.overview.readings import Transition
from watchroom.monitor.console.overview.spark import spark
from watchroom.monitor.console.overview.tiles import Tile
from watchroom.monitor.console.overview.verdict import verdict
from watchroom.monitor.console.values import Quantity
from watchroom.monitor.dispatch.notification import DeliveryKey
from watchroom.monitor.notify.ledger import LedgerEntry
from watchroom.monitor.oncall import transitions
from watchroom.monitor.routing.silences import Silence
from watchroom.monitor.rules.views import AlertView

NOW = 1_000_000_000


def alert(name, state, since_s, **labels):
    merged = {"alertname": name, "severity": "critical", "priority": "P1"} | labels
    return AlertView(
        tuple(sorted(merged.items())),
        (("summary", f"{name} summary"),),
        state,
        NOW - since_s * 1000,
        1.0,
        None,
    )


def entry(state, receiver="ops", name="A", ago_s=10, **changes):
    return LedgerEntry(
        1,
        DeliveryKey(receiver, "webhook[0]", "g"),
        "firing",
        "http://h/…",
        state,
        1,
        (name,),
        NOW - ago_s * 1000 - 50,
        1,
        None,
        200,
        "",
        12.0,
        NOW - ago_s * 1000,
    )._replace(**changes)


def tiled(state):
    said = Quantity("1", "")
    line = spark([], None)
    return Tile(
        1, "Hits", "", state, "●", "ok", state, said, False, "", "", line, "", ""
    )


def said(alerts=(), tiles=(), entries=(), **changes):
    options = {
        "now_ms": NOW,
        "calm_since_ms": NOW - 273_600_000,
        "waits": {"B": 60.0},
        "fired": {"A": NOW - 13_000},
        "runbooks": frozenset({"A"}),
        "known": {},
        "watching": True,
    }
    return verdict(alerts, tiles, entries, **{**options, **changes})


def incident(number, name="A", **changes):
    labels = (("alertname", name), ("priority", "P1"), ("severity", "critical"))
    texts = (("description", "The nightly copy."), ("summary", "no backup"))
    fires = Alert(labels, texts, NOW - 120_000, None, NOW)
    opened = transitions.opened(number, fires, labels[:1], NOW - 60_000)
    return replace(opened, **changes)


def notes(found):
    return [note.text for note in found.notes]


def test_calm_says_for_how_long():
    found = said(tiles=[tiled("ok"), tiled("ok"), tiled("not applicable")])
    assert found.sentence == "All 2 vitals are within their limits, for 3 d 4 h"
    assert found.css == "ok"


def test_what_is_over_its_limit_is_not_said_to_be_within_it():
    near = tiled("close")._replace(words="close")
    assert notes(said(tiles=[near])) == ["Close to its limit: Hits, 1"]
    over = tiled("close")._replace(words="over the limit")
    found = said(tiles=[tiled("ok"), over, near])
    assert found.sentence == "No alerts firing, for 3 d 4 h"
    assert notes(found)[0] == "Over the limit, no alert: Hits, 1"


def test_idle_is_calm_and_blind_is_not():
    idle = said(tiles=[tiled("ok"), tiled("idle")])
    assert idle.sentence == "1 vital is within its limit, 1 idle, for 3 d 4 h"
    blind = said(tiles=[tiled("ok"), tiled("blind")])
    assert (blind.css, blind.sentence) == ("warn", "1 of 2 vitals has no data: Hits")


def test_the_worst_firing_alert_is_named_with_its_summary_and_who_was_told():
    found = said(
        [alert("Z", "firing", 900, priority="P3"), alert("A", "firing", 40)],
        entries=[entry("sent")],
    )
    assert found.sentence == "A is firing: A summary"
    assert notes(found) == [
        "P1, firing for 13 s, since",
        "1 more firing: Z",
        "ops notified, delivered 3 s later",
    ]
    assert found.runbook == "A"
    assert found.answer is None


def test_a_repeat_makes_nobody_look_as_if_told_late():
    repeated = [entry("sent", ago_s=0), entry("failed", "sms"), entry("sent")]
    found = notes(said([alert("A", "firing", 40)], entries=repeated))
    assert "ops notified, delivered 3 s later, 2 times" in found


def test_what_waits_for_an_answer_can_be_answered_and_then_says_who_did_and_when():
    waits = incident(7)
    firing = [alert("A", "firing", 40)]
    found = said(firing, incidents=[waits])
    assert (found.answer, found.can_silence) == (waits, True)
    assert "not acknowledged" in notes(found)
    done = replace(
        waits,
        state="acknowledged",
        acknowledged_by="Anna",
        acknowledged_ms=NOW - 5000,
        reason="rolling back",
    )
    found = said(firing, incidents=[done])
    assert found.answer is None
    assert Note("Anna is on it: rolling back, since", NOW - 5000) in found.notes


def test_what_is_open_though_no_rule_fires_comes_before_calm():
    posted, by_hand = incident(7), transitions.by_hand(8, "no power", "P2", "Sue", NOW)
    found = said(
        [alert("B", "pending", 5)],
        [tiled("ok")],
        [entry("sent", ago_s=59)],
        incidents=[posted, by_hand],
    )
    assert (found.css, found.sentence) == ("fire", "Incident 7 is open: A: no backup")
    assert notes(found) == [
        *("P1, open for 1 min, since", "ops notified, delivered 1 s later"),
        *("not acknowledged", "incident 7"),
        "also open: incident 8, P2, not acknowledged: no power",
    ]
    assert (found.answer, found.detail) == (posted, "The nightly copy.")
    assert (found.can_silence, found.runbook) == (True, "A")
    found = said(incidents=[by_hand])
    assert found.sentence == "Incident 8 is open: no power"
    assert notes(found) == ["P2, open for 0 s, since", "incident 8"]
    (name,) = posted.alerts
    unseen = replace(posted.alerts[name], ended_ms=NOW, series_missing=True)
    found = said(incidents=[replace(posted, alerts={name: unseen})])
    assert found.css == "warn"
    assert found.notes[1].text == (
        "data stopped arriving, so recovery can't be confirmed"
    )


def test_what_has_ended_and_what_is_answered_is_no_alarm():
    posted = incident(7)
    (name,) = posted.alerts
    ended = replace(posted.alerts[name], ended_ms=NOW)
    over = replace(posted, alerts={name: ended})
    seen = replace(
        posted, alerts={name: replace(ended, series_missing=True)}, state="mitigated"
    )
    found = said(tiles=[tiled("ok")], incidents=[over, seen])
    assert found.css == "ok"


def test_who_silenced_what_fires_is_named_instead_of_nobody_notified():
    silence = Silence("s", (), 0, NOW + 60_000, 0, "Sue", "the nightly export")
    found = said(
        [alert("A", "firing", 40)], silenced={"A": silence}, incidents=[incident(7)]
    )
    by = Note("silenced by Sue: the nightly export, until", NOW + 60_000)
    assert by in found.notes
    assert "nobody notified yet" not in notes(found)
    assert not found.can_silence


def test_a_page_that_nobody_accepted_is_shown_as_such():
    firing = [alert("A", "firing", 40)]
    assert "nobody notified yet" in notes(said(firing))
    assert "nobody notified yet" in notes(
        said(firing, entries=[entry("sent", ago_s=50)])
    )
    tried = entry("open", attempts=3, error="connection refused", finished_ms=None)
    assert notes(said(firing, entries=[tried]))[1] == (
        "ops not reached yet, attempt 3: connection refused"
    )
    refused = said(firing, entries=[entry("failed", error="answered 404")])
    assert refused.notes[1].bad
    assert refused.notes[1].text == "ops not notified: answered 404"


def test_who_was_told_before_a_short_break_is_not_told_again_and_named():
    before = entry("sent", ago_s=50)
    found = said([alert("A", "firing", 40)], entries=[before], known={"A": {"ops": 5}})
    assert ("ops notified at", 5) in [note[:2] for note in found.notes]
    assert "nobody notified yet" not in notes(found)


def test_several_of_one_name_are_counted():
    others = [alert("Z", "firing", 9, job=name) for name in ("a", "b")]
    assert "2 more firing: Z (2)" in notes(said([alert("A", "firing", 40), *others]))


def test_pending_again_and_again_is_one_line():
    def seen(ago_s, state):
        return Transition(NOW - ago_s * 1000, "S", state, (("job", "site"),), 2000)

    history = [seen(1, "pending"), seen(5, "pending"), seen(9, "pending")]
    (line,) = changes(history, [], [], since_ms=0)
    assert (line.at_ms, line.small) == (NOW - 1000, "3 times without firing · site")
    history = [seen(1, "pending"), seen(5, "firing"), seen(9, "pending")]
    assert len(changes(history, [], [], since_ms=0)) == 3


def test_pending_says_when_it_will_fire():
    found = said([alert("B", "pending", 20)])
    assert (found.css, found.sentence) == ("warn", "B is pending: B summary")
    assert notes(found)[0] == "fires in 40 s if it lasts, pending since"


def test_drills_and_the_watchdog_are_no_verdict():
    alerts = [
        alert("Watchdog", "firing", 9, severity="none"),
        alert("A", "firing", 9, job="drill-ab12"),
    ]
    assert said(alerts, [tiled("ok")]).css == "ok"


def test_a_watch_that_does_not_evaluate_says_so_before_anything_else():
    found = said([alert("A", "firing", 9)], watching=False)
    assert found.sentence == "The monitor isn't evaluating its rules"


def test_what_changed_is_one_list_with_the_connection_spelled_out():
    history = [
        Transition(NOW - 1000, "A", "resolved", (("severity", "critical"),), 12_000),
        Transition(NOW - 13_000, "A", "firing", (("job", "app"),), 12_000),
        Transition(NOW - 14_000, "Watchdog", "firing", (("severity", "none"),), 1),
    ]
    found = changes(
        history, [entry("sent")], [(1.0, "watch", "old")], since_ms=NOW // 2
    )
    assert [(c.tag, c.text, c.small) for c in found] == [
        ("resolved", "A", "fired for 12 s"),
        ("notified", "ops: A firing", "delivered in 12 ms, 3 s after it fired"),
        ("firing", "A", "app"),
    ]


def test_an_urgent_incident_comes_before_what_fires_and_the_rest_is_linked():
    by_hand = replace(
        transitions.by_hand(8, "no power", "P1", "Sue", NOW), own_alerts=["x"]
    )
    warning = alert("Z", "firing", 40, priority="P2")
    found = said(
        [warning],
        entries=[entry("sent", name="Incident8", ago_s=-2)],
        incidents=[by_hand, incident(9, "Z", priority="P2")],
        people={"ops": "Anna"},
    )
    assert (found.sentence, found.answer) == ("Incident 8 is open: no power", by_hand)
    assert notes(found) == [
        *("P1, open for 0 s, since", "1 firing: Z"),
        *("Anna via ops notified, delivered 2 s later", "not acknowledged"),
        *("incident 8", "also open: incident 9, P2, not acknowledged: no backup"),
    ]
    done = replace(by_hand, state="acknowledged", acknowledged_by="Sue")
    found = said([warning], incidents=[done, incident(9, "Z", priority="P2")])
    assert found.sentence == "Z is firing: Z summary"
    assert "also open: incident 8, P1, acknowledged: no power" in notes(found)


def test_no_open_incident_is_left_out_of_calm_and_many_are_counted():
    mitigated = [
        replace(transitions.by_hand(n, f"n{n}", "P2", "Sue", NOW), state="mitigated")
        for n in range(1, 8)
    ]
    found = said(tiles=[tiled("ok")], incidents=mitigated)
    assert found.css == "ok"
    assert notes(found)[:1] == ["also open: incident 1, P2, mitigated: n1"]
    assert notes(found)[-1] == "3 more open incidents"


def test_an_incident_opened_and_acknowledged_by_a_person_is_shown_until_it_ends():
    done = replace(
        transitions.by_hand(8, "no power", "P1", "Sue", NOW),
        state="acknowledged",
        acknowledged_by="Sue",
    )
    found = said(tiles=[tiled("ok")], incidents=[done])
    assert (found.css, found.sentence) == ("warn", "Incident 8 is open: no power")


def test_an_alert_without_a_severity_is_an_alert_and_not_on_purpose():
    bare = AlertView(
        (("alertname", "Bare"),), (), "firing", NOW - 60_000, 1.0, None
    )  # a rule may have neither labels nor annotations
    found = said(alerts=[bare])
    assert (found.css, found.sentence) == ("fire", "Bare is firing")
    watchdog = bare._replace(labels=(("alertname", "Watchdog"), ("severity", "none")))
    assert said(alerts=[watchdog], tiles=[tiled("ok")]).css == "ok"
