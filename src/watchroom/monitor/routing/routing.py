"""Which receivers an alert may reach now: routes, inhibition, silences.

The order of the monitor's locks, of which routing's is the middle one. A thread that
holds a lock takes only locks further down:

1. `RuleManager`'s lock, then the locks of rule groups: held while alerts are handed on.
2. `ManualAlerts`' lock: held while the alert of a manual incident is handed on.
3. `Routing.lock`: the alerts known now and the dispatcher's groups. The policy of
   groups, which is on-call, is called under it.
4. `Incidents`' lock. So on-call calls `places` only while it does not hold it.
5. The locks of `Silences`, `Deploys`, state.db and the store: they call no other part.

The event loop waits for none of them for long: what waits for a disk (`Actions`,
`Silences.put`, `ManualAlerts.renew`, `RuleManager.load`) runs in a thread.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from watchroom.formats.routes import Node, compile_route
from watchroom.monitor.alert import is_page_of_incident
from watchroom.monitor.routing.inhibit import Inhibition, Inhibitor, compile_rules
from watchroom.monitor.routing.silences import Silences

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchroom.formats.alertmanager import Alertmanager
    from watchroom.monitor.alert import Alert
    from watchroom.promql.model import Labels


class Plan(NamedTuple):
    """A configuration, compiled.

    Attributes:
        tree: The routes.
        send_resolved: Receiver → integration → whether it is notified of ends.
        inhibitions: Which alerts mute which.
    """

    tree: Node
    send_resolved: dict[str, dict[str, bool]]
    inhibitions: list[Inhibition]


def compiled_plan(config: Alertmanager) -> Plan:
    """Return a configuration, compiled.

    Raises:
        ConfigError: A matcher's pattern is not RE2.
    """
    return Plan(
        compile_route(config.route),
        {
            receiver.name: {
                name: entry.send_resolved
                for name, entry in receiver.integrations().items()
            }
            for receiver in config.receivers
        },
        compile_rules(config.inhibit_rules),
    )


def group_labels(route: Node, labels: Labels) -> Labels:
    """Return the labels that name the group of an alert on a route.

    An incident opened by hand is a group of its own, whatever the route says: what is
    done about it must not answer for the alerts beside it.
    """
    return labels if is_page_of_incident(dict(labels)) else route.group_labels(labels)


class Place(NamedTuple):
    """Where routing puts an alert.

    Attributes:
        group: The labels that name its group.
        muted: Whether a silence or another alert mutes it.
    """

    group: Labels
    muted: bool


class Muting:
    """Who mutes an alert, at one moment.

    Args:
        inhibitor: Knows which alerts fire.
        silences: All of them.
        now_ms: The moment.
    """

    def __init__(self, inhibitor: Inhibitor, silences: Silences, now_ms: int) -> None:
        self._inhibitor = inhibitor
        self._silences = silences
        self._now_ms = now_ms

    def inhibited_by(self, labels: Labels) -> list[str]:
        """Return the fingerprints of the alerts that mute one with `labels`."""
        return self._inhibitor.muted_by(labels)

    def silenced_by(self, labels: Labels) -> list[str]:
        """Return the ids of the silences that mute an alert with `labels`."""
        return self._silences.muted_by(labels, self._now_ms)

    def mutes(self, labels: Labels) -> bool:
        """Return whether anything mutes an alert with `labels`."""
        return bool(self.inhibited_by(labels) or self.silenced_by(labels))


class Routing:
    """The tree, inhibition, silences, and the current alerts; calls no other part.

    Pure: no clock, no I/O. Its methods may be called from any thread.

    Args:
        config: A `formats.alertmanager` configuration.
        silences: Which alerts notify nobody; none without it.

    Attributes:
        lock: Held to read or change `plan` and `alerts`; the module's
            docstring gives its place in the order of locks.
        plan: The configuration, compiled.
        alerts: The current ones by fingerprint; inhibition needs the firing ones.

    Raises:
        ConfigError: A matcher's pattern is not RE2.
    """

    def __init__(self, config: Alertmanager, silences: Silences | None = None) -> None:
        self.lock = threading.RLock()
        self.plan: Plan = compiled_plan(config)
        self.alerts: dict[str, Alert] = {}
        self._silences = silences or Silences()

    def use(self, plan: Plan) -> None:
        """Take another configuration."""
        with self.lock:
            self.plan = plan

    def match(self, labels: Labels) -> list[Node]:
        """Return the routes that take an alert: at least the root."""
        return self.plan.tree.match(labels)

    def muting(self, now_ms: int) -> Muting:
        """Return who mutes whom at a moment.

        It costs as much for one alert as for a thousand, so ask once for all of them.
        """
        with self.lock:
            firing = [a for a in self.alerts.values() if not a.resolved(now_ms)]
            inhibitor = Inhibitor(self.plan.inhibitions, firing)
        return Muting(inhibitor, self._silences, now_ms)

    def places(self, alerts: Iterable[Labels], now_ms: int) -> list[Place]:
        """Return the group of each alert, and whether it is muted."""
        with self.lock:
            muting = self.muting(now_ms)
            return [
                Place(group_labels(self.match(labels)[0], labels), muting.mutes(labels))
                for labels in alerts
            ]
