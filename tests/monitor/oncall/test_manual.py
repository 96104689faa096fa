"""An incident opened by hand notifies people as an alert of its priority does."""

from __future__ import annotations

from tests.monitor.oncall.conftest import MINUTE
from tests.support.waiting import until

from watchroom.monitor.routing.silences import Silence
from watchroom.promql.model import Matcher


def opens(night, priority="P1"):
    night.actions.open("the office has no power", priority, "Sue")
    return night.rings()


def test_a_p1_pages_as_a_p1_does_with_the_link_that_acknowledges_it(night):
    said = opens(night)
    assert sorted(receiver for receiver, _ in said) == ["chat", "pager"]
    (alert,) = said[0][1].alerts
    texts = dict(alert.annotations)
    assert texts["summary"] == "the office has no power"
    assert texts["incident_url"].endswith("/incidents/1")
    assert "/answer/1-" in texts["ack_url"]
    assert dict(alert.labels)["environment"] == "staging", "routes tell by it"
    kinds = [event.kind for event in night.timeline()]
    assert kinds == ["opened", "paged"]
    assert "Anna" in night.timeline()[1].text


def test_it_is_repeated_and_escalated_until_a_contact_acknowledges(night):
    opens(night)
    said = night.goes_on(11 * MINUTE)
    assert [who for at, who in said if at <= 6 * MINUTE] == ["pager"]
    assert "ben" in [who for _, who in said]
    assert night.only().escalated_to == "Ben"
    night.actions.acknowledge(1, "Ben", "calling the provider")
    assert night.goes_on(20 * MINUTE) == []


def test_its_end_is_sent_to_those_who_were_paged(night):
    opens(night)
    night.actions.resolve(1, "Sue", "it has power again")
    said = [(who, note.status) for who, note in night.says()]
    night.ms += MINUTE
    said += [(who, note.status) for who, note in night.says()]
    assert sorted(said) == [("chat", "resolved"), ("pager", "resolved")]
    night.ms += MINUTE
    assert night.rings() == []
    assert night.oncall.incidents.get(1).state == "resolved", "its own end opens none"


def test_a_p2_that_becomes_a_p1_pages_from_then_on(night):
    assert [who for who, _ in opens(night, "P2")] == ["chat"]
    night.actions.prioritise(1, "Sue", "P1")
    night.ms += MINUTE
    firing = [who for who, note in night.rings() if note.status == "firing"]
    assert "pager" in firing


def test_a_restart_neither_forgets_it_nor_pages_again(night):
    opens(night)
    night.restart()
    night.renew()
    assert night.rings() == []
    assert [who for _, who in night.goes_on(6 * MINUTE)] == ["pager"]
    night.actions.resolve(1, "Sue", "done")
    night.restart()
    night.renew()
    assert {note.status for _, note in night.rings()} == {"resolved"}


def test_two_at_once_are_answered_one_by_one(night):
    opens(night)
    night.actions.open("and the water", "P1", "Sue")
    assert len(night.rings()) == 2
    night.actions.acknowledge(1, "Anna", "on it")
    said = [who for _, who in night.goes_on(6 * MINUTE)]
    assert said == ["pager"], "the other still waits"


def test_a_silence_that_matches_its_labels_holds_it_too(night):
    everything = (Matcher("environment", "=", "staging"),)
    until_ms = night.ms + MINUTE
    night.silences.put(
        Silence("", everything, night.ms, until_ms, night.ms, "Sue", "moving"), night.ms
    )
    assert opens(night) == []


def test_a_running_monitor_pages_and_the_link_acknowledges(calm):
    earlier = len(calm.duty())

    def heard():
        return {action for action, _ in calm.duty()[earlier:]}

    form = {"title": "no power", "priority": "P1", "as": "Sue"}
    made = calm.monitor.post(
        "/api/v1/watchroom/incidents",
        "&".join(f"{name}={value}" for name, value in form.items()).encode(),
    )
    number = made.json["data"]["id"]
    page = calm.page(number)
    assert page["summary"] == "no power"
    assert "/answer/" in page["ack_url"]
    until(lambda: "trigger" in heard(), what="the pager")
    assert calm.act(number, "acknowledge", as_="Anna", reason="on it").status == 200
    until(lambda: "acknowledge" in heard(), what="passed on")
    assert calm.act(number, "resolve", as_="Anna", reason="back").status == 200
    until(lambda: "resolve" in heard(), what="its end")
