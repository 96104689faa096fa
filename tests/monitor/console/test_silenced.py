"""What a silence keeps from receivers, per alert and per incident."""

from __future__ import annotations

from msgspec.structs import replace

from watchroom.monitor.alert import Alert
from watchroom.monitor.console.silenced import active, by_alert, lines, over_incident
from watchroom.monitor.dispatch.views import AlertStatusView
from watchroom.monitor.oncall import transitions
from watchroom.monitor.routing.silences import Silence, Silences
from watchroom.promql.model import Matcher, labels_of

NOW = 1_700_000_000_000
MINUTE = 60_000


def silences(*asked):
    found = Silences()
    names = [found.put(one, NOW) for one in asked]
    return found, names


def silence(ends=MINUTE, starts=0, **labels):
    matchers = tuple(Matcher(name, "=", value) for name, value in labels.items())
    return Silence("", matchers, NOW + starts, NOW + ends, 0, "Sue", "the\nexport")


def view(silenced=(), **labels):
    alert = Alert(labels_of({"alertname": "A", **labels}), (), NOW, None, NOW)
    state = "suppressed" if silenced else "active"
    return AlertStatusView(alert, ("ops",), state, (), tuple(silenced))


def test_one_route_silenced_is_not_the_alert_silenced():
    found, (name,) = silences(silence(route="a"))
    both = [view([name], route="a"), view(route="b")]
    assert by_alert(both, found) == {}
    assert by_alert(both[:1], found)["A"].id == name


def test_a_list_names_what_each_one_keeps_from_receivers_now():
    found, (first, later) = silences(
        silence(alertname="A"), silence(starts=MINUTE, ends=2 * MINUTE, env="x")
    )
    one, two = lines(found.all(NOW), [view([first])], NOW)
    assert (one.id, one.state, one.mutes) == (first, "active", ["A"])
    assert (one.matchers, one.by, one.why) == (['alertname="A"'], "Sue", "the export")
    assert (two.id, two.state, two.mutes) == (later, "pending", [])
    assert [each.id for each in active(found, NOW)] == [first]


def test_an_incident_is_silenced_by_what_matches_its_alerts_ended_or_not():
    alert = view(env="prod").alert
    incident = transitions.opened(1, alert, (), NOW)
    found, (name, _) = silences(silence(env="prod"), silence(env="staging"))
    assert [one.id for one in over_incident(incident, found, (), NOW)] == [name]
    (key,) = incident.alerts
    over = {key: replace(incident.alerts[key], ended_ms=NOW)}
    incident = replace(incident, alerts=over, state="resolved")
    assert [one.id for one in over_incident(incident, found, (), NOW)] == [name]
    assert over_incident(incident, found, (), NOW + 2 * MINUTE) == []


def test_one_opened_by_hand_is_silenced_by_what_matches_its_own_alert():
    page = view(incident="1", env="prod")
    incident = replace(
        transitions.by_hand(1, "no power", "P1", "Sue", NOW),
        own_alerts=[page.alert.fingerprint],
    )
    found, (name,) = silences(silence(env="prod"))
    assert [one.id for one in over_incident(incident, found, [page], NOW)] == [name]
