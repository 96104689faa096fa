"""One group of alerts at one route: its timer, and what is to be said when it rings."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.monitor.alert import Alert
    from watchroom.monitor.routing.route import Node
    from watchroom.promql.model import Labels


Kind = Literal["send", "note", "cancel"]


class DeliveryKey(NamedTuple):
    """One conversation: what one integration of a receiver hears about one group.

    Attributes:
        receiver: Its name.
        integration: Which of its ways of telling: ``webhook[0]``, ``slack[1]``.
        group_key: Of the group.
    """

    receiver: str
    integration: str
    group_key: str


class Told(NamedTuple):
    """What a receiver has accepted last: fingerprints by state, and when."""

    firing: frozenset[str]
    resolved: frozenset[str]
    at_ms: int


class Notification(NamedTuple):
    """A message that has to go out now.

    Attributes:
        key: To whom, about which group.
        kind: ``send``: send it. ``note``: nothing to send, but from now on the
            receiver counts as told. ``cancel``: what is still being delivered has
            stopped being true or wanted and nothing takes its place.
        status: What it says.
        alerts: In Alertmanager's order; only those that the integration wants.
        group_labels: Of the group.
        firing: All that fire, by fingerprint.
        resolved: All that ended.
    """

    key: DeliveryKey
    kind: Kind
    status: Literal["firing", "resolved"]
    alerts: Sequence[Alert]
    group_labels: Labels
    firing: frozenset[str]
    resolved: frozenset[str]


class AggregationGroup:
    """Alerts of one route that share their group labels."""

    def __init__(self, route: Node, labels: Labels, now_ms: int) -> None:
        self.route = route
        self.labels = labels
        self.key = route.group_key(labels)
        self.alerts: dict[str, Alert] = {}
        self.next_ms = now_ms + route.group_wait_ms
        self.flushed = False
        self.ended: dict[str, int] = {}  # resolved at the last flush → its updated_at
        self.waiting: set[DeliveryKey] = set()  # who has yet to accept that flush
        self.refused = False

    def insert(self, alert: Alert, now_ms: int) -> None:
        """Take an alert; one that has waited long enough elsewhere does not wait."""
        self.alerts[alert.fingerprint] = alert
        due = alert.starts_at_ms + self.route.group_wait_ms
        if not self.flushed and due < now_ms:
            self.next_ms = now_ms

    def inherit(self, before: AggregationGroup, now_ms: int) -> None:
        """Continue the group of the same key in the configuration before."""
        self.flushed = before.flushed
        longest = (
            self.route.group_interval_ms if self.flushed else (self.route.group_wait_ms)
        )
        self.next_ms = min(before.next_ms, now_ms + longest)
        self.ended = before.ended
        self.waiting = before.waiting
        self.refused = before.refused

    def due(self, now_ms: int) -> bool:
        """Return whether the timer has run out; a clock set back stretches no timer."""
        route = self.route
        longest = max(route.group_wait_ms, route.group_interval_ms)
        self.next_ms = min(self.next_ms, now_ms + longest)
        return self.next_ms <= now_ms

    def ring(self, now_ms: int) -> list[Alert]:
        """Start the next interval and return the alerts in order, ends in the past."""
        self.flushed = True
        self.next_ms = now_ms + self.route.group_interval_ms
        alerts = [
            alert if alert.resolved(now_ms) else alert._replace(ends_at_ms=None)
            for alert in sorted(self.alerts.values(), key=order)
        ]
        self.ended = {
            a.fingerprint: a.updated_at_ms for a in alerts if a.ends_at_ms is not None
        }
        self.waiting = set()
        self.refused = False
        return alerts

    def forget_ended(self) -> list[str]:
        """Drop what ended and everybody knows; return the fingerprints."""
        if self.waiting or self.refused:
            return []
        gone = []
        for fingerprint, updated_at_ms in self.ended.items():
            alert = self.alerts.get(fingerprint)
            if alert is not None and alert.updated_at_ms == updated_at_ms:
                del self.alerts[fingerprint]
                gone.append(fingerprint)
        self.ended = {}
        return gone


@functools.cmp_to_key
def _by_labels(left: Labels, right: Labels) -> int:
    """Compare label sets as Alertmanager does: fewer labels first, then by value.

    Of two that differ in a name, the one without the earlier name comes first.
    """
    if len(left) != len(right):
        return len(left) - len(right)
    for (name, value), (other, other_value) in zip(left, right, strict=True):
        if name != other:
            return 1 if name < other else -1
        if value != other_value:
            return -1 if value < other_value else 1
    return 0


def order(alert: Alert) -> tuple[object, ...]:
    """Return the sort key of alerts in a message: job, instance, then all labels."""
    pairs = dict(alert.labels)
    lead = [(name not in pairs, pairs.get(name, "")) for name in ("job", "instance")]
    return (*lead, _by_labels(alert.labels))


def decide(
    key: DeliveryKey,
    group_labels: Labels,
    alerts: Sequence[Alert],
    *,
    told: Told | None,
    open_: Told | None,
    send_resolved: bool,
    repeat_before_ms: int,
    quiet: bool = False,
    called: bool = False,
) -> Notification | None:
    """Return what to say to one integration of a group that rang, if anything.

    Args:
        key: Which.
        group_labels: Of the group.
        alerts: Of the group, without those that are muted.
        told: What it accepted last, if anything.
        open_: What is still being said to it, if anything.
        send_resolved: Whether it wants to hear of ends.
        repeat_before_ms: What was said before this moment is said again.
        quiet: Somebody is on it: a repeat that is still on its way is called back.
        called: No route names this receiver. Once it is quiet there is nothing to call
            it for, unless it knows already: then it goes on to hear, to the end.
    """
    ended = [alert for alert in alerts if alert.ends_at_ms is not None]
    resolved = frozenset(alert.fingerprint for alert in ended)
    firing = frozenset(alert.fingerprint for alert in alerts) - resolved
    update = needs_update(
        told,
        firing,
        resolved,
        send_resolved=send_resolved,
        repeat_before_ms=repeat_before_ms,
    )
    needless = quiet and called and not (told and told.firing)
    update = update and not needless
    kind: Kind = "send" if firing or send_resolved else "note"
    if open_ is not None:
        same = (open_.firing, open_.resolved) == (firing, resolved)
        if same and (update or not quiet or not firing):
            return None  # it is on its way
        # Nobody accepted the page and it is over: say both at once, if wanted.
        over = not firing and open_.firing and not needless
        if not update and not over:
            kind = "cancel"
    elif not update:
        return None
    sent = alerts if send_resolved else [a for a in alerts if a not in ended]
    return Notification(
        key,
        kind,
        "firing" if firing else "resolved",
        tuple(sent) if kind == "send" else (),
        group_labels,
        firing,
        resolved,
    )


def needs_update(
    told: Told | None,
    firing: frozenset[str],
    resolved: frozenset[str],
    *,
    send_resolved: bool,
    repeat_before_ms: int,
) -> bool:
    """Return whether a receiver has to hear of a group, by Alertmanager's rules.

    Args:
        told: What it accepted last, if anything.
        firing: What fires now.
        resolved: What ended.
        send_resolved: Whether it wants to hear of ends.
        repeat_before_ms: What was said before this moment is said again.
    """
    if told is None:
        return bool(firing)
    if not firing <= told.firing:
        return True
    if not firing:
        return bool(told.firing)
    if send_resolved and not resolved <= told.resolved:
        return True
    return told.at_ms < repeat_before_ms
