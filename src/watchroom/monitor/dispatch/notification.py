"""What goes out to a receiver, and what it accepted before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.monitor.alert import Alert
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


class NotificationLogEntry(NamedTuple):
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
