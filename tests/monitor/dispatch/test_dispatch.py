"""What is said when, on a clock of our own, where Alertmanager's tests cannot look:
receivers that refuse, configurations that change, processes that end."""

from __future__ import annotations

from watchroom.formats import alertmanager
from watchroom.monitor.alert import Alert
from watchroom.monitor.dispatch.dispatcher import Dispatcher
from watchroom.monitor.dispatch.notification import DeliveryKey, NotificationLogEntry
from watchroom.monitor.routing.routing import Routing
from watchroom.promql.model import labels_of

CONFIG = """
route:
  receiver: ops
  group_by: [alertname]
  group_wait: 1s
  group_interval: 10s
  repeat_interval: 1h
receivers:
  - name: ops
    webhook_configs: [{url: "http://127.0.0.1:1/a", send_resolved: %s}]
  - name: other
    webhook_configs: [{url: "http://127.0.0.1:1/b"}]
"""
KEY = DeliveryKey("ops", "webhook[0]", '{}:{alertname="A"}')


def config(text=CONFIG, send_resolved="true"):
    return alertmanager.load(text % send_resolved, "am.yml")


def routing(text=CONFIG, send_resolved="true"):
    return Routing(config(text, send_resolved))


def alert(name="A", starts=0, ends=None, **labels):
    pairs = labels_of({"alertname": name, **labels})
    return Alert(pairs, (), starts, ends, starts if ends is None else ends)


def sent(dispatcher, start, stop, *, accept=None, step=100):
    """Advance from `start` to `stop` seconds; settle each message as `accept` says."""
    sent_at = []
    for now in range(start * 1000, stop * 1000, step):
        for notification in dispatcher.advance(now):
            sent_at.append((now / 1000, notification))
            if accept is not None and notification.kind == "send":
                dispatcher.settle(notification, accepted=accept, now_ms=now)
    return sent_at


def brief(sent_at):
    return [(at, n.kind, n.status, len(n.alerts)) for at, n in sent_at]


def test_a_page_being_delivered_is_not_made_again():
    d = Dispatcher(routing())
    d.receive([alert()], 0)
    assert brief(sent(d, 0, 60)) == [(1.0, "send", "firing", 1)]


def test_a_page_that_was_refused_is_made_again_at_the_next_interval():
    d = Dispatcher(routing())
    d.receive([alert()], 0)
    assert brief(sent(d, 0, 25, accept=False)) == [
        (1.0, "send", "firing", 1),
        (11.0, "send", "firing", 1),
        (21.0, "send", "firing", 1),
    ]


def test_a_change_replaces_a_page_that_nobody_has_accepted():
    d = Dispatcher(routing())
    d.receive([alert(n="1")], 0)
    sent(d, 0, 5)
    d.receive([alert(n="2", starts=5000)], 5000)
    assert brief(sent(d, 5, 20)) == [(11.0, "send", "firing", 2)]


def test_a_page_that_resolves_before_it_is_accepted_is_sent_as_resolved():
    d = Dispatcher(routing())
    d.receive([alert()], 0)
    sent(d, 0, 5)
    d.receive([alert(ends=5000)], 5000)
    sent_at = sent(d, 5, 60, accept=True)
    assert brief(sent_at) == [(11.0, "send", "resolved", 1)]
    assert d.due_ms() is None


def test_where_ends_are_not_wanted_such_a_page_is_cancelled():
    d = Dispatcher(routing(send_resolved="false"))
    d.receive([alert()], 0)
    sent(d, 0, 5)
    d.receive([alert(ends=5000)], 5000)
    assert [kind for _, kind, *_ in brief(sent(d, 5, 60))] == ["note"]
    assert d.due_ms() is None


def test_an_end_is_kept_until_it_is_accepted():
    d = Dispatcher(routing())
    d.receive([alert()], 0)
    sent(d, 0, 5, accept=True)
    d.receive([alert(ends=5000)], 5000)
    assert brief(sent(d, 5, 35, accept=False)) == [
        (11.0, "send", "resolved", 1),
        (21.0, "send", "resolved", 1),
        (31.0, "send", "resolved", 1),
    ]
    assert brief(sent(d, 35, 60, accept=True)) == [(41.0, "send", "resolved", 1)]
    assert d.due_ms() is None


def test_an_old_message_accepted_late_does_not_hide_the_newer_one():
    d = Dispatcher(routing())
    d.receive([alert()], 0)
    ((_, first),) = sent(d, 0, 5)
    d.receive([alert(ends=5000)], 5000)
    ((_, second),) = sent(d, 5, 12)
    d.settle(first, accepted=True, now_ms=12_000)
    assert second.status == "resolved"
    assert d.due_ms() is not None
    d.settle(second, accepted=True, now_ms=13_000)
    assert d.due_ms() is None


def test_after_a_restart_an_accepted_page_is_not_repeated():
    log = {
        KEY: NotificationLogEntry(frozenset([alert().fingerprint]), frozenset(), 1000)
    }
    d = Dispatcher(routing(), log=log)
    d.receive([alert()], 5000)
    assert sent(d, 5, 60) == []
    d.receive([alert(ends=60_000)], 60_000)
    assert brief(sent(d, 60, 80)) == [(65.0, "send", "resolved", 1)]


def test_after_a_restart_an_open_delivery_is_not_made_twice():
    deliveries = {
        KEY: NotificationLogEntry(frozenset([alert().fingerprint]), frozenset(), 1000)
    }
    d = Dispatcher(routing(), open_deliveries=deliveries)
    d.receive([alert()], 5000)
    assert sent(d, 5, 60) == []


def test_after_a_restart_an_alert_that_waited_does_not_wait_again():
    d = Dispatcher(routing())
    d.receive([alert()], 5000)
    assert brief(sent(d, 5, 8)) == [(5.0, "send", "firing", 1)]


def test_a_reload_keeps_the_timers_of_groups_that_stay():
    d = Dispatcher(routing())
    d.receive([alert()], 0)
    sent(d, 0, 5, accept=True)
    assert d.reload(config(), 5000) == []
    assert d.due_ms() == 11_000
    d.receive([alert(n="2", starts=6000)], 6000)
    assert brief(sent(d, 6, 20, accept=True)) == [(11.0, "send", "firing", 2)]


def test_a_reload_keeps_pages_on_their_way_and_names_those_whose_receiver_is_gone():
    d = Dispatcher(routing())
    d.receive([alert()], 0)
    sent(d, 0, 5)
    assert d.reload(config(), 5000) == []
    assert sent(d, 5, 30) == []
    moved = CONFIG.replace("name: ops", "name: gone").replace(
        "receiver: ops", "receiver: other"
    )
    (dropped,) = d.reload(config(moved), 30_000)
    assert dropped.key == KEY
    assert "'ops' is no longer" in dropped.reason
    # Nobody has been told yet, so whoever is responsible now hears of it at once.
    ((at, notification),) = sent(d, 30, 40, accept=True)
    assert (at, notification.key.receiver) == (30.0, "other")


def test_muted_alerts_are_listed_with_who_mutes_them():
    text = CONFIG + (
        "inhibit_rules: [{source_matchers: ['alertname=\"Down\"'],"
        " target_matchers: ['alertname=\"A\"']}]\n"
    )
    d = Dispatcher(routing(text))
    d.receive([alert("Down"), alert("A")], 0)
    assert [n.key.group_key for _, n in sent(d, 0, 5)] == ['{}:{alertname="Down"}']
    views = {dict(v.alert.labels)["alertname"]: v for v in d.alerts(5000)}
    assert views["A"].state == "suppressed"
    assert views["A"].inhibited_by == [alert("Down").fingerprint]
    assert views["Down"].receivers == ("ops",)
    assert {g.receiver for g in d.alert_groups(5000)} == {"ops"}


def test_an_alert_whose_end_lies_ahead_fires_until_then():
    d = Dispatcher(routing())
    d.receive([alert()._replace(ends_at_ms=15_000)], 0)
    assert brief(sent(d, 0, 30, accept=True)) == [
        (1.0, "send", "firing", 1),
        (21.0, "send", "resolved", 1),
    ]


def test_a_receiver_without_integrations_swallows_what_it_gets():
    d = Dispatcher(
        routing(
            CONFIG.replace(
                'webhook_configs: [{url: "http://127.0.0.1:1/a", send_resolved: %s}]',
                "webhook_configs: [] # %s",
            )
        )
    )
    d.receive([alert()], 0)
    assert sent(d, 0, 30) == []
    d.receive([alert(ends=30_000)], 30_000)
    assert sent(d, 30, 60) == []
    assert d.due_ms() is None


def test_a_clock_that_is_set_back_stretches_no_timer():
    d = Dispatcher(routing())
    d.receive([alert(starts=7_200_000)], 7_200_000)
    sent(d, 7200, 7205, accept=True)
    d.receive([alert(n="2", starts=3_600_000)], 3_600_000)
    assert brief(sent(d, 3600, 3620, accept=True)) == [(3610.0, "send", "firing", 2)]


def test_an_open_page_whose_content_is_known_already_is_cancelled():
    d = Dispatcher(routing(send_resolved="false"))
    d.receive([alert(n="1")], 0)
    sent(d, 0, 5, accept=True)
    d.receive([alert(n="2", starts=5000)], 5000)
    assert brief(sent(d, 5, 15)) == [(11.0, "send", "firing", 2)]
    d.receive([alert(n="2", starts=5000, ends=15_000)], 15_000)
    assert brief(sent(d, 15, 60)) == [(21.0, "cancel", "firing", 0)]


def test_a_resolved_and_accepted_group_leaves_nothing_behind():
    d = Dispatcher(routing())
    d.receive([alert(n="1"), alert(n="2")], 0)
    sent(d, 0, 5, accept=True)
    d.receive([alert(n="2", ends=5000)], 5000)
    sent(d, 5, 15, accept=True)
    assert [dict(a.labels)["n"] for a in d._alerts.values()] == ["1"]
    d.receive([alert(n="1", ends=15_000)], 15_000)
    sent(d, 15, 25, accept=True)
    assert (d._alerts, d._groups, d._log, d._open) == ({}, {}, {}, {})


def test_an_accepted_end_is_not_sent_again_after_a_reload():
    d = Dispatcher(routing())
    d.receive([alert(n="1"), alert(n="2")], 0)
    sent(d, 0, 5, accept=True)
    d.receive([alert(n="2", ends=5000)], 5000)
    sent(d, 5, 15, accept=True)
    d.receive([alert(n="3", starts=15_000)], 15_000)
    assert [n.status for _, n in sent(d, 15, 25, accept=True)] == ["firing"]
    d.reload(config(), 25_000)
    assert sent(d, 25, 60, accept=True) == []
