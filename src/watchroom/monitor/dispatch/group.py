"""One group of alerts at one route: its timer, and what it flushes."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchroom.formats.routes import Node
    from watchroom.monitor.alert import Alert
    from watchroom.monitor.dispatch.notification import (
        DeliveryKey,
    )
    from watchroom.promql.model import Labels


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
        self.waiting: set[DeliveryKey] = set()  # keys that have not accepted it
        self.refused = False

    def insert(self, alert: Alert, now_ms: int) -> None:
        """Add an alert; it does not wait if it has fired for group_wait already."""
        self.alerts[alert.fingerprint] = alert
        due = alert.starts_at_ms + self.route.group_wait_ms
        if not self.flushed and due < now_ms:
            self.next_ms = now_ms

    def inherit(self, before: AggregationGroup, now_ms: int) -> None:
        """Continue the group of the same key from the previous configuration."""
        self.flushed = before.flushed
        longest = (
            self.route.group_interval_ms if self.flushed else (self.route.group_wait_ms)
        )
        self.next_ms = min(before.next_ms, now_ms + longest)
        self.ended = before.ended
        self.waiting = before.waiting
        self.refused = before.refused

    def due(self, now_ms: int) -> bool:
        """Return whether the timer has run out; a clock set back doesn't delay it."""
        route = self.route
        longest = max(route.group_wait_ms, route.group_interval_ms)
        self.next_ms = min(self.next_ms, now_ms + longest)
        return self.next_ms <= now_ms

    def begin_flush(self, now_ms: int) -> list[Alert]:
        """Start the next interval; return the alerts in order, future ends cleared."""
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

    def forget_ended(self) -> None:
        """Drop resolved alerts that every receiver accepted."""
        if self.waiting or self.refused:
            return
        for fingerprint, updated_at_ms in self.ended.items():
            alert = self.alerts.get(fingerprint)
            if alert is not None and alert.updated_at_ms == updated_at_ms:
                del self.alerts[fingerprint]
        self.ended = {}


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
