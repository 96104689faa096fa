"""Which alerts go to whom, when: Alertmanager's routing and grouping, without its I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.monitor.alerts import Alert
    from watchroom.promql.model import Labels


class DeliveryKey(NamedTuple):
    """One conversation: what one integration of a receiver hears about one group."""

    receiver: str
    integration: int
    group_key: str


class Told(NamedTuple):
    """What a receiver has accepted last: fingerprints by state, and when."""

    firing: frozenset[str]
    resolved: frozenset[str]
    at_ms: int


class Notification(NamedTuple):
    """A message that has to go out now."""

    key: DeliveryKey
    status: Literal["firing", "resolved"]
    alerts: Sequence[Alert]
    group_labels: Labels
    firing: frozenset[str]
    resolved: frozenset[str]


class Dropped(NamedTuple):
    """A conversation that a reload ended, and why."""

    key: DeliveryKey
    reason: str


class AlertGroupView(NamedTuple):
    """A group as /api/v2/alerts/groups shows it."""

    labels: Labels
    receiver: str
    alerts: Sequence[AlertStatusView]


class AlertStatusView(NamedTuple):
    """An alert as /api/v2/alerts shows it."""

    alert: Alert
    receivers: Sequence[str]
    state: Literal["active", "suppressed"]
    inhibited_by: Sequence[str]


class Dispatcher:
    """The state of routing: alerts, groups, their timers, what receivers know.

    Pure: no clock, no I/O; every method takes the time, is quick, and may be called
    from any thread (one lock inside).

    Args:
        config: A `formats.alertmanager` configuration.
        told: What receivers accepted before (`Ledger.told`).
        open_: Deliveries that the last process left open (`Ledger.open`).
    """

    def __init__(
        self,
        config: Any,
        *,
        told: Mapping[DeliveryKey, Told] | None = None,
        open_: Mapping[DeliveryKey, Told] | None = None,
    ) -> None:
        raise NotImplementedError

    def receive(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take news of alerts: new, still firing, or ended."""
        raise NotImplementedError

    def advance(self, now_ms: int) -> list[Notification]:
        """Run every group timer that is due and return what has to be sent."""
        raise NotImplementedError

    def due_ms(self) -> int | None:
        """Return when `advance` has something to do next."""
        raise NotImplementedError

    def settle(
        self, notification: Notification, *, accepted: bool, now_ms: int
    ) -> None:
        """Tell how a notification ended: accepted by its receiver, or given up."""
        raise NotImplementedError

    def reload(self, config: Any, now_ms: int) -> list[Dropped]:
        """Take a new configuration; groups whose key still exists keep their timers.

        Returns the open deliveries whose receiver is gone.
        """
        raise NotImplementedError

    def alert_groups(self, now_ms: int) -> list[AlertGroupView]:
        """Return the groups as they stand."""
        raise NotImplementedError

    def alerts(self, now_ms: int) -> list[AlertStatusView]:
        """Return the firing alerts with the receivers they go to."""
        raise NotImplementedError
