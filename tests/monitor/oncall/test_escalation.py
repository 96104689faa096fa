"""Who is told how often: repeat, escalation, and the end of both."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from watchroom.errors import QueryLimitError

MINUTE = 60_000


def first(said):
    return sorted({receiver for receiver, _ in said})


def test_an_unacknowledged_p1_repeats_every_five_minutes_and_is_then_escalated(night):
    assert first(night.says(night.alert())) == ["chat", "pager"]
    heard = night.goes_on(22 * MINUTE)
    assert [at for at, who in heard if who == "pager"] == [
        *(5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 20 * MINUTE),
    ]
    assert [at for at, who in heard if who == "ben"] == [
        *(10 * MINUTE, 15 * MINUTE, 20 * MINUTE),
    ]
    assert not [who for _, who in heard if who == "chat"], "it hears as its route says"
    assert night.only().escalated_to == "Ben"
    (event,) = [e for e in night.timeline() if e.kind == "escalated"]
    assert event.text == "not acknowledged for 10 min: Ben paged via ben"


def test_an_acknowledgement_ends_both_until_the_incident_resolves(night):
    alert = night.alert()
    night.says(alert)
    night.actions.acknowledge(1, "Anna", "on it")
    assert night.goes_on(29 * MINUTE) == []
    said = night.recovers(alert)
    said += [(who, None) for _, who in night.goes_on(MINUTE)]
    assert first(said) == ["chat", "pager"], "all hear of the end"
    night.says(night.alert())
    assert night.only().state == "firing"
    heard = {who for _, who in night.goes_on(11 * MINUTE)}
    assert {"pager", "ben"} <= heard, "it came back, so it has to be answered again"


def test_whoever_was_called_hears_of_the_end(night):
    alert = night.alert()
    night.says(alert)
    night.goes_on(11 * MINUTE)
    night.actions.acknowledge(1, "Ben", "took over")
    said = night.recovers(alert)
    said += [(who, None) for _, who in night.goes_on(MINUTE)]
    assert first(said) == ["ben", "chat", "pager"]


class Down:
    """A night whose receivers refuse, or say nothing, from a time on, until another."""

    def __init__(self, night, who, *, refuses):
        self.night, self.who, self.refuses = night, who, refuses
        self.down = True
        night.rings_when_answered = True

    def goes_on(self, ms):
        """Return (kind, status) of what its receiver is sent meanwhile."""
        night, said = self.night, []
        end = night.ms + ms
        while night.ms < end:
            for note in night.dispatcher.advance(night.ms):
                down = self.down and note.key.receiver == self.who
                if note.kind == "send" and (self.refuses or not down):
                    settle = night.dispatcher.settle
                    settle(note, accepted=not down, now_ms=night.ms)
                if note.key.receiver == self.who:
                    said.append((note.kind, note.status))
            night.ms += 10_000
        return said


@pytest.mark.parametrize("refuses", [True, False])
def test_who_was_called_but_not_reached_is_left_alone_once_it_is_answered(
    night, refuses
):
    alert = night.alert()
    night.dispatcher.receive([alert], night.ms)
    night.oncall.receive([alert], night.ms)
    ben = Down(night, "ben", refuses=refuses)
    assert ("send", "firing") in ben.goes_on(15 * MINUTE)
    night.actions.acknowledge(1, "Anna", "on it")
    ben.down = False
    # What was still on its way is called back at once; nothing else is said.
    said = [] if refuses else [("cancel", "firing")]
    assert ben.goes_on(1) == said
    assert ben.goes_on(30 * MINUTE) == []
    night.recovers(alert)
    assert ben.goes_on(2 * MINUTE) == [], "he never heard that it fires"


def test_a_repeat_not_yet_accepted_is_cancelled_and_the_end_is_sent_all_the_same(night):
    alert = night.alert()
    night.dispatcher.receive([alert], night.ms)
    night.oncall.receive([alert], night.ms)
    ben = Down(night, "ben", refuses=False)
    ben.down = False
    assert ben.goes_on(11 * MINUTE) == [("send", "firing")]
    ben.down = True
    assert ben.goes_on(6 * MINUTE) == [("send", "firing")]
    night.actions.acknowledge(1, "Anna", "on it")
    ben.down = False
    assert ben.goes_on(30 * MINUTE) == [("cancel", "firing")]
    over = alert._replace(ends_at_ms=night.ms)
    night.dispatcher.receive([over], night.ms)
    night.oncall.receive([over], night.ms)
    assert ben.goes_on(2 * MINUTE) == [("send", "resolved")]


def test_repeats_and_escalation_go_on_over_restarts(night):
    night.says(night.alert())
    heard = []
    began = night.ms
    for _ in range(11):
        night.goes_on(MINUTE, step=20_000)
        night.timeline()
        night.restart()
        night.says(night.alert())
        heard += [(e.at_ms - began, e.kind) for e in night.timeline()[2:]]
    assert {kind for _, kind in heard} == {"escalated"}
    assert night.only().added_receivers == ["pager", "ben"]
    assert night.only().times == 1


def test_what_is_not_p1_is_said_as_its_route_says(night):
    night.says(night.alert(severity="warning", priority="P2"))
    assert night.goes_on(59 * MINUTE) == []
    assert night.only().escalated_to == ""


def test_a_p1_that_reopens_a_p2_is_paged_as_one(night):
    mild = night.alert(severity="warning", priority="P2")
    assert first(night.says(mild)) == ["chat"]
    night.actions.prioritise(1, "Anna", "P3")
    night.recovers(mild)
    night.goes_on(5 * MINUTE)
    assert first(night.says(night.alert())) == ["chat", "pager"]
    assert (night.only().id, night.only().priority) == (1, "P1")
    assert night.only().priority_by == "", "what was said of the milder one is over"
    heard = {who for _, who in night.goes_on(11 * MINUTE)}
    assert heard == {"pager", "ben"}


def test_a_clock_set_back_puts_neither_repeat_nor_escalation_off(night):
    night.says(night.alert())
    night.goes_on(MINUTE)
    night.ms -= 60 * MINUTE
    night.restart()
    night.says(night.alert())
    heard = night.goes_on(12 * MINUTE)
    assert [at for at, who in heard if who == "pager"] == [5 * MINUTE, 10 * MINUTE]
    assert [at for at, who in heard if who == "ben"] == [10 * MINUTE]


def test_without_contacts_a_p1_repeats_to_all_of_its_route(tmp_path):
    from tests.monitor.oncall.conftest import Night

    night = Night(tmp_path, with_contacts=False)
    night.says(night.alert())
    heard = night.goes_on(11 * MINUTE)
    assert sorted(who for _, who in heard) == ["chat", "chat", "pager", "pager"]
    night.actions.acknowledge(1, "whoever", "there is no list yet")
    assert night.goes_on(29 * MINUTE) == []
    night.state.close()


@pytest.mark.parametrize("who", ["Anna", "Ben"])
def test_whoever_acknowledged_is_asked_again_while_it_fires_and_then_the_next(
    night, who
):
    night.says(night.alert())
    night.goes_on(MINUTE)
    night.actions.acknowledge(1, who, "on it")
    heard = [(at, name) for at, name in night.goes_on(42 * MINUTE) if name != "chat"]
    mine, other = ("pager", "ben") if who == "Anna" else ("ben", "pager")
    asked = [at for at, name in heard if name == mine]
    # At the next ring of the group, which is every 30 s; then as any unanswered page.
    assert 30 * MINUTE <= asked[0] <= 31 * MINUTE
    assert 34 * MINUTE <= asked[1] <= 36 * MINUTE
    if other == "ben":  # the pager is of the route, and has its own interval
        passed_on = min(at for at, name in heard if name == other)
        assert 40 * MINUTE <= passed_on <= 41 * MINUTE
    assert night.only().escalated_to == {"Anna": "Ben", "Ben": "Anna"}[who]
    texts = [e.text for e in night.timeline() if e.kind == "paged_again"]
    assert texts == [f"still firing 30 min after {who} acknowledged it"]
    night.actions.acknowledge(1, who, "still on it")
    assert night.goes_on(29 * MINUTE) == []


def test_no_time_out_of_acknowledgements_is_none(night):
    contacts = msgspec.structs.replace(night.oncall.contacts, ack_timeout="0")
    night.oncall.use(contacts)
    night.says(night.alert())
    night.actions.acknowledge(1, "Anna", "on it")
    assert night.goes_on(180 * MINUTE) == []


def test_what_was_acknowledged_and_has_ended_asks_nobody(night):
    alert = night.alert()
    night.says(alert)
    night.actions.acknowledge(1, "Anna", "on it")
    # Its series are missing, so the incident stays open; but nothing fires.
    night.says(alert._replace(ends_at_ms=night.ms))
    night.goes_on(MINUTE)
    assert night.goes_on(60 * MINUTE) == []
    assert night.only().state == "acknowledged"


def test_a_flapping_unacknowledged_page_is_escalated_all_the_same(night):
    heard = []
    for _ in range(8):
        alert = night.alert()
        night.says(alert)
        heard += [who for _, who in night.goes_on(MINUTE)]
        night.recovers(alert)
        heard += [who for _, who in night.goes_on(MINUTE)]
    assert "ben" in heard
    assert night.oncall.incidents.get(1).escalated_to == "Ben"


def test_every_message_that_fires_leads_to_its_incident_and_an_answer(night):
    alert = night.alert()
    (_, page), *_ = night.says(alert)
    texts = dict(page.alerts[0].annotations)
    assert texts["incident_url"] == "https://watch.example/w/incidents/1"
    assert texts["ack_url"].startswith("https://watch.example/w/answer/1-")
    assert texts["summary"] == "HighErrorRate it is"
    night.actions.acknowledge(1, "Anna", "on it")
    night.ms += MINUTE
    ((_, page), *_) = night.says(alert, night.alert(route="b"))
    for one in page.alerts:
        assert "ack_url" not in dict(one.annotations), "somebody is on it"


def test_a_drill_carries_no_link_that_acknowledges(night):
    ((_, page), *_) = night.says(night.alert(job="drill-abc"))
    assert "ack_url" not in dict(page.alerts[0].annotations)


def test_a_pager_that_does_not_answer_delays_no_other_incident(night):
    for number, name in enumerate("ABC", 1):
        night.says(night.alert(name))
        night.actions.acknowledge(number, "Anna", "on it")
    waiting = []

    async def tell(*_):
        waiting.append(asyncio.Event())
        if len(waiting) == 3:
            for each in waiting:
                each.set()
        await waiting[-1].wait()
        return []

    async def story():
        async with asyncio.timeout(10):
            await night.passed_on(tell).forward()

    asyncio.run(story())


def test_an_acknowledgement_is_forwarded_while_no_query_can_run(night):
    night.says(night.alert())
    night.actions.acknowledge(1, "Anna", "on it")
    told = asyncio.Event()

    class Busy:  # more queries than may run at once
        async def run(self, *_):
            raise QueryLimitError("too many queries")

    async def tell(*_):
        told.set()
        return []

    async def story():
        watching = asyncio.create_task(
            night.oncall.watch(
                Busy(),
                every=lambda: 0.0,
                exprs=dict,
                acknowledge=night.passed_on(tell).forward,
            )
        )
        async with asyncio.timeout(30):
            await told.wait()
        watching.cancel()

    asyncio.run(story())
    assert night.oncall.looks_failed >= 1


def test_a_fault_that_comes_back_while_only_its_symptoms_last_asks_again(night):
    outage = night.alert("HttpOutage", vital="HttpOutage")
    burn = night.alert("ErrorBudgetBurn", vital="ErrorBudgetBurn")
    burn = burn._replace(annotations=(("symptom_of", "HttpOutage"),))
    night.says(outage, burn)
    night.actions.acknowledge(1, "Anna", "on it")
    night.ms += MINUTE
    night.says(outage._replace(ends_at_ms=night.ms))
    night.ms += MINUTE
    assert night.only().state == "acknowledged"
    night.says(night.alert("HttpOutage", vital="HttpOutage"))
    assert night.only().state == "firing"
