"""Which notifications leave when: Alertmanager's grouping and timers, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.monitor.dispatch.dedup import decide
from watchroom.monitor.dispatch.group import AggregationGroup, order
from watchroom.monitor.dispatch.notification import (
    DeliveryKey,
    Notification,
    NotificationLogEntry,
)
from watchroom.monitor.dispatch.policy import ROUTE_ONLY, Policy, RouteOnly
from watchroom.monitor.dispatch.views import AlertGroupView, AlertStatusView
from watchroom.monitor.routing.routing import compiled_plan, group_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchroom.formats.alertmanager import Alertmanager
    from watchroom.formats.routes import Node
    from watchroom.monitor.alert import Alert
    from watchroom.monitor.dispatch.policy import GroupPolicy
    from watchroom.monitor.routing.routing import Muting, Routing
    from watchroom.promql.model import Labels


class Dropped(NamedTuple):
    """A delivery that a reload ended, and why."""

    key: DeliveryKey
    reason: str


MOST_ALERTS = 20_000
"""Alerts at once beyond which posted ones are refused; rules have their own limits."""

_GroupId = tuple[str, str, "Labels"]


class Dispatcher:
    """Groups of alerts, their timers, and the log of accepted notifications.

    Pure: no clock, no I/O; every method takes the time, is quick, and may be called
    from any thread: its state is read and changed under routing's lock.

    Args:
        routing: Where alerts go, and which are muted.
        policy: What on-call adds to the routes; without it, nothing.
        log: What receivers accepted before (`Ledger.notification_log`).
        open_deliveries: What the last process left open (`Ledger.open_deliveries`).
    """

    def __init__(
        self,
        routing: Routing,
        *,
        policy: GroupPolicy | None = None,
        log: Mapping[DeliveryKey, NotificationLogEntry] | None = None,
        open_deliveries: Mapping[DeliveryKey, NotificationLogEntry] | None = None,
    ) -> None:
        self.routing = routing
        self.policy: GroupPolicy = policy or RouteOnly()
        self._log = dict(log or {})
        self._open = dict(open_deliveries or {})
        self._alerts = routing.alerts
        self._lock = routing.lock
        self._groups: dict[_GroupId, AggregationGroup] = {}
        self.refused = 0

    def receive(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take alerts that are new, still firing, or resolved."""
        with self._lock:
            for alert in alerts:
                self._alerts[alert.fingerprint] = alert
                for route in self.routing.match(alert.labels):
                    self._group(route, alert, now_ms).insert(alert, now_ms)

    def take(self, alerts: Sequence[Alert], now_ms: int) -> int:
        """Take posted alerts; return how many were refused because of the limit."""
        with self._lock:
            taken = []
            for alert in alerts:
                before = self._alerts.get(alert.fingerprint)
                if before is not None:
                    alert = alert.merged(before)  # noqa: PLW2901 - the same alert
                elif len(self._alerts) >= MOST_ALERTS:
                    continue
                taken.append(alert)
            self.receive(taken, now_ms)
            refused = len(alerts) - len(taken)
            self.refused += refused
            return refused

    def _group(self, route: Node, alert: Alert, now_ms: int) -> AggregationGroup:
        labels = group_labels(route, alert.labels)
        identity = (route.key, route.receiver, labels)
        group = self._groups.get(identity)
        if group is None:
            group = self._groups[identity] = AggregationGroup(route, labels, now_ms)
        return group

    def advance(self, now_ms: int) -> list[Notification]:
        """Run every group timer that is due and return what has to be sent."""
        with self._lock:
            due = [group for group in self._groups.values() if group.due(now_ms)]
            if not due:
                return []
            muting = self.routing.muting(now_ms)
            notifications: list[Notification] = []
            for group in sorted(due, key=lambda group: group.next_ms):
                notifications += self._flush(group, muting, now_ms)
            self._sweep()
            return notifications

    def _flush(
        self, group: AggregationGroup, muting: Muting, now_ms: int
    ) -> list[Notification]:
        """Return the notifications that the group's receivers are due."""
        flushed = group.begin_flush(now_ms)
        ended = [alert for alert in flushed if alert.ends_at_ms is not None]
        self.policy.ended(ended, now_ms)
        alerts = [alert for alert in flushed if not muting.mutes(alert.labels)]
        notifications: list[Notification] = []
        policy = self._policy(group, alerts, now_ms)
        for key, send_resolved in self._delivery_keys(group, policy):
            if not alerts:
                break
            notification = decide(
                key,
                group.labels,
                alerts,
                logged=self._log_entry(key, now_ms),
                open_delivery=self._open.get(key),
                send_resolved=send_resolved,
                repeat_before_ms=policy.repeat_before_ms(
                    key.receiver, group.route, now_ms
                ),
                quiet=policy.quiet,
                escalated=key.receiver in policy.receivers,
            )
            if notification is not None:
                notifications.append(notification)
                self._open.pop(key, None)
                if notification.kind == "send":
                    self._open[key] = notification.entry(now_ms)
                elif notification.kind == "note":
                    self._log[key] = notification.entry(now_ms)
            if key in self._open:
                group.waiting.add(key)
        group.forget_ended()
        return notifications

    def moved(self, seconds: float) -> None:
        """Adjust to a clock that was set: nothing is repeated because of that."""
        by_ms = round(seconds * 1000)
        with self._lock:
            for log in (self._log, self._open):
                for key, entry in log.items():
                    log[key] = entry._replace(at_ms=entry.at_ms + by_ms)

    def _log_entry(self, key: DeliveryKey, now_ms: int) -> NotificationLogEntry | None:
        """Return what was accepted last; a clock set back delays no repeat."""
        entry = self._log.get(key)
        if entry is not None and entry.at_ms > now_ms:
            entry = self._log[key] = entry._replace(at_ms=now_ms)
        return entry

    def _policy(
        self, group: AggregationGroup, alerts: Sequence[Alert], now_ms: int
    ) -> Policy:
        """Return what on-call adds: to the first route that takes an alert only."""
        if not alerts:
            return ROUTE_ONLY
        policy = self.policy.policy_of(group.labels, alerts, now_ms)
        routes = self.routing.match(alerts[0].labels)
        first = routes and routes[0].key == group.route.key
        receivers = {route.receiver for route in routes}
        more = [name for name in policy.receivers if name not in receivers]
        return policy._replace(receivers=tuple(more) if first else ())

    def _delivery_keys(
        self, group: AggregationGroup, policy: Policy
    ) -> list[tuple[DeliveryKey, bool]]:
        """Return the group's delivery keys, and whether each gets resolved alerts."""
        return [
            (DeliveryKey(receiver, integration, group.key), send_resolved)
            for receiver in (group.route.receiver, *policy.receivers)
            for integration, send_resolved in self._integrations(receiver).items()
        ]

    def _integrations(self, receiver: str) -> dict[str, bool]:
        """Return a receiver's integrations, and whether each gets resolved alerts."""
        return self.routing.plan.send_resolved.get(receiver, {})

    def _sweep(self) -> None:
        """Forget empty groups, alerts that are in no group, and their log entries.

        A log entry without firing alerts has the same effect as none.
        """
        held = {name for group in self._groups.values() for name in group.alerts}
        for fingerprint in self._alerts.keys() - held:
            del self._alerts[fingerprint]
        empty = [name for name, group in self._groups.items() if not group.alerts]
        if not empty:
            return
        for identity in empty:
            del self._groups[identity]
        keys = {group.key for group in self._groups.values()}
        for key, entry in list(self._log.items()):
            if not entry.firing and key.group_key not in keys:
                del self._log[key]

    def flush_waiting(self, fingerprints: Iterable[str], now_ms: int) -> None:
        """Flush the groups of these alerts now if they have open deliveries."""
        names = frozenset(fingerprints)
        with self._lock:
            for group in self._groups.values():
                if group.waiting and not names.isdisjoint(group.alerts):
                    group.next_ms = min(group.next_ms, now_ms)

    def due_ms(self) -> int | None:
        """Return when `advance` has something to do next."""
        with self._lock:
            return min((group.next_ms for group in self._groups.values()), default=None)

    def settle(
        self, notification: Notification, *, accepted: bool, now_ms: int
    ) -> None:
        """Record how a delivery ended: accepted by its receiver, or given up.

        A notification that newer content has replaced meanwhile is still logged when
        it was accepted.
        """
        key = notification.key
        with self._lock:
            entry = notification.entry(now_ms)
            if accepted:
                self._log[key] = entry
            open_delivery = self._open.get(key)
            current = open_delivery is not None and open_delivery[:2] == entry[:2]
            if not current:
                return
            del self._open[key]
            for group in self._groups.values():
                if key in group.waiting:
                    group.waiting.discard(key)
                    group.refused |= not accepted
                    group.forget_ended()
            self._sweep()

    def reload(self, config: Alertmanager, now_ms: int) -> list[Dropped]:
        """Take a new configuration; groups whose key still exists keep their timers.

        Returns the open deliveries whose receiver was removed.

        Raises:
            ConfigError: A matcher's pattern is not RE2; nothing has changed then.
        """
        plan = compiled_plan(config)
        with self._lock:
            before, self._groups = self._groups, {}
            self.routing.use(plan)
            self.receive(list(self._alerts.values()), now_ms)
            for identity, group in self._groups.items():
                if identity in before:
                    group.inherit(before[identity], now_ms)
            dropped = []
            for key in list(self._open):
                if key.integration in self._integrations(key.receiver):
                    continue
                del self._open[key]
                dropped.append(
                    Dropped(
                        key,
                        f"receiver {key.receiver!r} is no longer in alertmanager.yml",
                    )
                )
            for group in self._groups.values():
                group.waiting &= self._open.keys()
            return dropped

    def notified_keys(self, fingerprints: Iterable[str]) -> list[DeliveryKey]:
        """Return the keys whose receiver last accepted that one of these fires."""
        wanted = frozenset(fingerprints)
        with self._lock:
            return [key for key, entry in self._log.items() if entry.firing & wanted]

    def known(self) -> dict[str, dict[str, int]]:
        """Return alert name → receiver → when it last accepted that this fires (ms)."""
        receivers: dict[str, dict[str, int]] = {}
        with self._lock:
            for key, entry in self._log.items():
                for fingerprint in entry.firing & self._alerts.keys():
                    name = dict(self._alerts[fingerprint].labels).get("alertname", "")
                    receivers.setdefault(name, {})[key.receiver] = entry.at_ms
        return receivers

    def alert_groups(self, now_ms: int) -> list[AlertGroupView]:
        """Return the groups, with their firing alerts."""
        with self._lock:
            views = {view.alert.fingerprint: view for view in self.alerts(now_ms)}
            return [
                AlertGroupView(
                    group.labels,
                    group.route.receiver,
                    [views[name] for name in sorted(group.alerts) if name in views],
                )
                for group in self._groups.values()
            ]

    def alerts(self, now_ms: int) -> list[AlertStatusView]:
        """Return the firing alerts with the receivers they go to."""
        with self._lock:
            muting = self.routing.muting(now_ms)
            views = []
            for alert in sorted(self._alerts.values(), key=order):
                if alert.resolved(now_ms):
                    continue
                routes = self.routing.match(alert.labels)
                muted = muting.inhibited_by(alert.labels)
                silenced = muting.silenced_by(alert.labels)
                views.append(
                    AlertStatusView(
                        alert,
                        tuple(dict.fromkeys(route.receiver for route in routes)),
                        "suppressed" if muted or silenced else "active",
                        muted,
                        silenced,
                    )
                )
            return views
