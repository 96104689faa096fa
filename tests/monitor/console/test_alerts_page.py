"""The alerts page: states, labels, what mutes one; everything escaped."""

from __future__ import annotations

from watchroom.monitor.alert import Alert
from watchroom.monitor.console.alerts import lines, muted_of, posted
from watchroom.monitor.dispatch.views import AlertStatusView
from watchroom.monitor.rules.views import AlertView, RuleView

EVIL = "<script>x</script>"


def alert(state, *labels, at=1000):
    pairs = (("alertname", "A"), ("severity", "critical"), *labels)
    return AlertView(tuple(sorted(pairs)), (), state, at, 1.5, None)


def rule(name, priority="P1", alerts=(), health="ok"):
    labels = (("priority", priority), ("severity", "critical"))
    return RuleView(
        *("alerting", name, "up == 0", 60.0, 0.0, labels, (("__panelId__", "4"),)),
        *(None, alerts, health, "broken" if health == "err" else "", 0.0, 1),
    )


def test_the_worst_stands_first_and_a_broken_rule_is_no_quiet_one():
    found = lines(
        [
            rule("Quiet"),
            rule("Pending", alerts=[alert("pending")]),
            rule("Broken", health="err"),
            rule("Minor", "P2", [alert("firing")]),
            rule("Worst", "P1", [alert("firing")]),
        ],
        {},
        frozenset({"Worst"}),
        {},
    )
    assert [line.name for line in found] == [
        *("Worst", "Minor", "Pending", "Broken", "Quiet"),
    ]
    assert [line.words for line in found][-2:] == ["cannot be evaluated", "inactive"]
    assert [line.runbook for line in found] == ["Worst", "", "", "", ""]
    assert found[0].panel == "4"


def test_who_is_muted_is_said_and_many_are_counted():
    many = [alert("firing", ("route", str(i))) for i in range(50)]
    found = lines(
        [rule("Many", alerts=many)], {many[0].labels: "silenced"}, frozenset(), {}
    )
    assert found[0].alerts[0].muted == "silenced"
    assert found[0].more == 30


def test_what_was_posted_and_is_no_rules_stands_there_by_its_name():
    def view(name, silenced=(), **labels):
        pairs = sorted({"alertname": name, **labels}.items())
        said = Alert(tuple(pairs), (("summary", EVIL),), 1000, None, 2000)
        state = "suppressed" if silenced else "active"
        return AlertStatusView(said, ("ops",), state, (), silenced)

    views = [view("Ours"), view("B"), view("A", host="a"), view("A", ("s",), host="b")]
    first, second = posted(views, {"Ours"})
    assert (first.name, second.name, first.words) == ("A", "B", "posted")
    assert [one.muted for one in first.alerts] == ["", "silenced"]
    assert first.alerts[0].labels == [("host", "a")]
    assert first.alerts[0].summary == EVIL, "escaped where it is shown"


def test_drills_and_the_watchdog_are_not_problems():
    drill = alert("firing", ("job", "drill-abc"))
    (line,) = lines([rule("Drilled", alerts=[drill])], {}, frozenset(), {})
    assert line.state == "inactive"
    assert [one.state for one in line.alerts] == ["firing"]


def test_what_a_silence_mutes_is_known_by_the_labels_that_routing_adds():
    fires = alert("firing")
    known = Alert(tuple(sorted((*fires.labels, ("env", "prod")))), (), 1000, None, 2000)
    view = AlertStatusView(known, ("ops",), "suppressed", (), ("s",))
    found = lines(
        [rule("A", alerts=[fires])], muted_of([view]), frozenset(), {"env": "prod"}
    )
    assert found[0].alerts[0].muted == "silenced"


def test_an_incident_opened_by_hand_is_no_alert_of_unknown_origin():
    labels = (("alertname", "Incident3"), ("incident", "3"))
    view = AlertStatusView(Alert(labels, (), 1, None, 1), ("ops",), "active", (), ())
    assert posted([view], set()) == []
