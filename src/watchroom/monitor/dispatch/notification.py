"""Notifications to a receiver, and what it accepted before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.monitor.alert import Alert
    from watchroom.promql.model import Labels


Kind = Literal["send", "note", "cancel"]


class DeliveryKey(NamedTuple):
    """What deliveries are counted by: one integration of a receiver, and one group.

    Attributes:
        receiver: Its name.
        integration: One of its integrations: ``webhook[0]``, ``slack[1]``.
        group_key: Alertmanager's key of the group.
    """

    receiver: str
    integration: str
    group_key: str


class NotificationLogEntry(NamedTuple):
    """What a receiver accepted last: fingerprints by state, and when."""

    firing: frozenset[str]
    resolved: frozenset[str]
    at_ms: int


class Notification(NamedTuple):
    """One message to one receiver about one group.

    Attributes:
        key: The receiver's integration and the group.
        kind: ``send``: send it. ``note``: send nothing, but log it as accepted.
            ``cancel``: stop the open delivery, which is out of date or no longer
            wanted, and send nothing in its place.
        status: ``firing`` or ``resolved``.
        alerts: In Alertmanager's order; only those that the integration wants.
        group_labels: Labels of the group.
        firing: Fingerprints of all firing alerts of the group.
        resolved: Fingerprints of all resolved ones.
    """

    key: DeliveryKey
    kind: Kind
    status: Literal["firing", "resolved"]
    alerts: Sequence[Alert]
    group_labels: Labels
    firing: frozenset[str]
    resolved: frozenset[str]

    def entry(self, now_ms: int) -> NotificationLogEntry:
        """Return what its receiver knows once it has accepted this."""
        return NotificationLogEntry(self.firing, self.resolved, now_ms)
