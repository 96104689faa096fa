"""Which alerts go to whom, when: Alertmanager's routing, grouping and muting, pure."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from watchroom.monitor.dispatch.dedup import decide
from watchroom.monitor.dispatch.group import AggregationGroup, order
from watchroom.monitor.dispatch.notification import (
    DeliveryKey,
    Notification,
    NotificationLogEntry,
)
from watchroom.monitor.dispatch.plan import compiled_plan
from watchroom.monitor.dispatch.policy import (
    ROUTE_ONLY,
    Place,
    Policy,
    PolicyOf,
    route_only,
)
from watchroom.monitor.dispatch.views import AlertGroupView, AlertStatusView
from watchroom.monitor.routing.inhibit import Inhibitor
from watchroom.monitor.routing.silences import Silences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from watchroom.formats.alertmanager import Alertmanager
    from watchroom.monitor.alert import Alert
    from watchroom.monitor.routing.route import Node
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
    """The state of routing: alerts, groups, their timers, what receivers know.

    Pure: no clock, no I/O; every method takes the time, is quick, and may be called
    from any thread (one lock inside).

    Args:
        config: A `formats.alertmanager` configuration.
        told: What receivers accepted before (`Ledger.told`).
        open_: Deliveries that the last process left open (`Ledger.open`).
        silences: Who is not to be told of what; none without it.

    Raises:
        ConfigError: A matcher's pattern is not RE2.
    """

    def __init__(
        self,
        config: Alertmanager,
        *,
        told: Mapping[DeliveryKey, NotificationLogEntry] | None = None,
        open_: Mapping[DeliveryKey, NotificationLogEntry] | None = None,
        silences: Silences | None = None,
    ) -> None:
        self._plan = compiled_plan(config)
        self._told = dict(told or {})
        self._open = dict(open_ or {})
        self._silences = silences or Silences()
        self._alerts: dict[str, Alert] = {}
        self._groups: dict[_GroupId, AggregationGroup] = {}
        self._lock = threading.RLock()
        self.refused = 0
        self.standing: PolicyOf = route_only
        # Under the lock too, muted or not: nobody sends the end of what timed out.
        self.ended: Callable[[Sequence[Alert], int], None] = lambda _, __: None

    def places(self, alerts: Iterable[Labels], now_ms: int) -> list[Place]:
        """Return the group of each alert that is known here, and whether it is muted.

        All at once: who mutes whom costs as much for one as for a thousand.
        """
        with self._lock:
            inhibitor = self._inhibitor(now_ms)
            return [
                Place(
                    self._plan.tree.match(labels)[0].group_labels(labels),
                    bool(
                        inhibitor.muted_by(labels)
                        or self._silences.muted_by(labels, now_ms)
                    ),
                )
                for labels in alerts
            ]

    def receive(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take news of alerts: new, still firing, or ended."""
        with self._lock:
            for alert in alerts:
                self._alerts[alert.fingerprint] = alert
                for route in self._plan.tree.match(alert.labels):
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
        labels = route.group_labels(alert.labels)
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
            inhibitor = self._inhibitor(now_ms)
            said: list[Notification] = []
            for group in sorted(due, key=lambda group: group.next_ms):
                said += self._flush(group, inhibitor, now_ms)
            self._sweep()
            return said

    def _inhibitor(self, now_ms: int) -> Inhibitor:
        firing = (a for a in self._alerts.values() if not a.resolved(now_ms))
        return Inhibitor(self._plan.inhibitions, firing)

    def _flush(
        self, group: AggregationGroup, inhibitor: Inhibitor, now_ms: int
    ) -> list[Notification]:
        """Return what the group's receiver has to hear now."""
        rung = group.ring(now_ms)
        self.ended([one for one in rung if one.ends_at_ms is not None], now_ms)
        alerts = [
            alert
            for alert in rung
            if not inhibitor.muted_by(alert.labels)
            and not self._silences.muted_by(alert.labels, now_ms)
        ]
        said: list[Notification] = []
        standing = self._standing(group, alerts, now_ms)
        for key, send_resolved in self._conversations(group, standing):
            if not alerts:
                break
            found = decide(
                key,
                group.labels,
                alerts,
                told=self._told_to(key, now_ms),
                open_=self._open.get(key),
                send_resolved=send_resolved,
                repeat_before_ms=standing.repeat_before_ms(
                    key.receiver, group.route, now_ms
                ),
                quiet=standing.quiet,
                called=key.receiver in standing.receivers,
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

    def _standing(
        self, group: AggregationGroup, alerts: Sequence[Alert], now_ms: int
    ) -> Policy:
        """Return what on-call adds: to the first route that takes an alert only."""
        if not alerts:
            return ROUTE_ONLY
        found = self.standing(group.labels, alerts, now_ms)
        routes = self._plan.tree.match(alerts[0].labels)
        first = routes and routes[0].key == group.route.key
        told = {route.receiver for route in routes}
        more = [name for name in found.receivers if name not in told]
        return found._replace(receivers=tuple(more) if first else ())

    def _conversations(
        self, group: AggregationGroup, standing: Policy
    ) -> list[tuple[DeliveryKey, bool]]:
        """Return whom this group is said to, and whether they hear of ends."""
        return [
            (DeliveryKey(receiver, integration, group.key), send_resolved)
            for receiver in (group.route.receiver, *standing.receivers)
            for integration, send_resolved in self._plan.send_resolved.get(
                receiver, {}
            ).items()
        ]

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
            self._plan = plan
            self.receive(list(self._alerts.values()), now_ms)
            for identity, group in self._groups.items():
                if identity in before:
                    group.inherit(before[identity], now_ms)
            dropped = []
            for key in list(self._open):
                if key.integration in plan.send_resolved.get(key.receiver, {}):
                    continue
                del self._open[key]
                dropped.append(
                    Dropped(key, f"the receiver {key.receiver!r} is gone from the file")
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
            inhibitor = self._inhibitor(now_ms)
            found = []
            for alert in sorted(self._alerts.values(), key=order):
                if alert.resolved(now_ms):
                    continue
                routes = self._plan.tree.match(alert.labels)
                muted = inhibitor.muted_by(alert.labels)
                silenced = self._silences.muted_by(alert.labels, now_ms)
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
