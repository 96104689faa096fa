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
from watchroom.monitor.routing.plan import compiled_plan
from watchroom.monitor.routing.routing import group_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchroom.formats.alertmanager import Alertmanager
    from watchroom.formats.routes import Node
    from watchroom.monitor.alert import Alert
    from watchroom.monitor.dispatch.policy import GroupPolicy
    from watchroom.monitor.routing.routing import Muting, Routing
    from watchroom.promql.model import Labels

__all__ = [
    "DeliveryKey",
    "Dispatcher",
    "Dropped",
    "Notification",
    "NotificationLogEntry",
]


class Dropped(NamedTuple):
    """A delivery that a reload ended, and why."""

    key: DeliveryKey
    reason: str


MOST_ALERTS = 20_000
"""Alerts at once beyond which none is taken from outside; our own rules have limits."""

_GroupId = tuple[str, str, "Labels"]


class Dispatcher:
    """Groups of alerts, their timers, and what receivers know.

    Pure: no clock, no I/O; every method takes the time, is quick, and may be called
    from any thread: all that is here is read and changed under routing's lock.

    Args:
        routing: Where alerts go, and which are muted.
        policy: What applies besides the route; nothing without it.
        told: What receivers accepted before (`Ledger.told`).
        open_: Deliveries that the last process left open (`Ledger.open`).
    """

    def __init__(
        self,
        routing: Routing,
        *,
        policy: GroupPolicy | None = None,
        told: Mapping[DeliveryKey, NotificationLogEntry] | None = None,
        open_: Mapping[DeliveryKey, NotificationLogEntry] | None = None,
    ) -> None:
        self.routing = routing
        self.policy: GroupPolicy = policy or RouteOnly()
        self._told = dict(told or {})
        self._open = dict(open_ or {})
        self._alerts = routing.alerts
        self._lock = routing.lock
        self._groups: dict[_GroupId, AggregationGroup] = {}
        self.refused = 0

    def receive(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take news of alerts: new, still firing, or ended."""
        with self._lock:
            for alert in alerts:
                self._alerts[alert.fingerprint] = alert
                for route in self.routing.match(alert.labels):
                    self._group(route, alert, now_ms).insert(alert, now_ms)

    def take(self, alerts: Sequence[Alert], now_ms: int) -> int:
        """Take alerts from outside; return how many were refused, for want of room."""
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
            said: list[Notification] = []
            for group in sorted(due, key=lambda group: group.next_ms):
                said += self._flush(group, muting, now_ms)
            self._sweep()
            return said

    def _flush(
        self, group: AggregationGroup, muting: Muting, now_ms: int
    ) -> list[Notification]:
        """Return what the group's receiver has to hear now."""
        rung = group.ring(now_ms)
        ended = [alert for alert in rung if alert.ends_at_ms is not None]
        self.policy.ended(ended, now_ms)
        alerts = [alert for alert in rung if not muting.mutes(alert.labels)]
        said: list[Notification] = []
        policy = self._policy(group, alerts, now_ms)
        for key, send_resolved in self._conversations(group, policy):
            if not alerts:
                break
            found = decide(
                key,
                group.labels,
                alerts,
                told=self._told_to(key, now_ms),
                open_=self._open.get(key),
                send_resolved=send_resolved,
                repeat_before_ms=policy.repeat_before_ms(
                    key.receiver, group.route, now_ms
                ),
                quiet=policy.quiet,
                called=key.receiver in policy.receivers,
            )
            if found is not None:
                said.append(found)
                self._open.pop(key, None)
                if found.kind == "send":
                    self._open[key] = NotificationLogEntry(
                        found.firing, found.resolved, now_ms
                    )
                elif found.kind == "note":
                    self._told[key] = NotificationLogEntry(
                        found.firing, found.resolved, now_ms
                    )
            if key in self._open:
                group.waiting.add(key)
        group.forget_ended()
        return said

    def moved(self, seconds: float) -> None:
        """Hear that the clock was set: nothing is said again because of that."""
        by_ms = round(seconds * 1000)
        with self._lock:
            for said in (self._told, self._open):
                for key, told in said.items():
                    said[key] = told._replace(at_ms=told.at_ms + by_ms)

    def _told_to(self, key: DeliveryKey, now_ms: int) -> NotificationLogEntry | None:
        """Return what was accepted last; a clock set back puts no repeat off."""
        told = self._told.get(key)
        if told is not None and told.at_ms > now_ms:
            told = self._told[key] = told._replace(at_ms=now_ms)
        return told

    def _policy(
        self, group: AggregationGroup, alerts: Sequence[Alert], now_ms: int
    ) -> Policy:
        """Return what on-call adds: to the first route that takes an alert only."""
        if not alerts:
            return ROUTE_ONLY
        found = self.policy.policy_of(group.labels, alerts, now_ms)
        routes = self.routing.match(alerts[0].labels)
        first = routes and routes[0].key == group.route.key
        told = {route.receiver for route in routes}
        more = [name for name in found.receivers if name not in told]
        return found._replace(receivers=tuple(more) if first else ())

    def _conversations(
        self, group: AggregationGroup, policy: Policy
    ) -> list[tuple[DeliveryKey, bool]]:
        """Return whom this group is said to, and whether they hear of ends."""
        return [
            (DeliveryKey(receiver, integration, group.key), send_resolved)
            for receiver in (group.route.receiver, *policy.receivers)
            for integration, send_resolved in self._integrations(receiver).items()
        ]

    def _integrations(self, receiver: str) -> dict[str, bool]:
        """Return the integrations of a receiver, and whether they hear of ends."""
        return self.routing.plan.send_resolved.get(receiver, {})

    def _sweep(self) -> None:
        """Forget empty groups, alerts that no group holds, and what was said of both.

        That a receiver knows of no alert is as good as never having told it anything.
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
        for key, told in list(self._told.items()):
            if not told.firing and key.group_key not in keys:
                del self._told[key]

    def answered(self, fingerprints: Iterable[str], now_ms: int) -> None:
        """Have groups of these alerts ring now if something of them is on its way."""
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
        """Tell how a delivery ended: accepted by its receiver, or given up.

        A message that newer content has replaced meanwhile still counts as told when
        it was accepted.
        """
        key = notification.key
        with self._lock:
            mine = NotificationLogEntry(
                notification.firing, notification.resolved, now_ms
            )
            if accepted:
                self._told[key] = mine
            open_ = self._open.get(key)
            current = open_ is not None and open_[:2] == mine[:2]
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

        Returns the open deliveries whose receiver is gone.

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

    def told_of(self, fingerprints: Iterable[str]) -> list[DeliveryKey]:
        """Return the conversations in which any of these alerts is known to fire."""
        wanted = frozenset(fingerprints)
        with self._lock:
            return [key for key, told in self._told.items() if told.firing & wanted]

    def known(self) -> dict[str, dict[str, int]]:
        """Return alert name → receiver → since when it knows that this fires (ms)."""
        found: dict[str, dict[str, int]] = {}
        with self._lock:
            for key, told in self._told.items():
                for fingerprint in told.firing & self._alerts.keys():
                    name = dict(self._alerts[fingerprint].labels).get("alertname", "")
                    found.setdefault(name, {})[key.receiver] = told.at_ms
        return found

    def alert_groups(self, now_ms: int) -> list[AlertGroupView]:
        """Return the groups as they stand, with the alerts that fire."""
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
            found = []
            for alert in sorted(self._alerts.values(), key=order):
                if alert.resolved(now_ms):
                    continue
                routes = self.routing.match(alert.labels)
                muted = muting.inhibited_by(alert.labels)
                silenced = muting.silenced_by(alert.labels)
                found.append(
                    AlertStatusView(
                        alert,
                        tuple(dict.fromkeys(route.receiver for route in routes)),
                        "suppressed" if muted or silenced else "active",
                        muted,
                        silenced,
                    )
                )
            return found
