"""Who follows what is notified: on-call, which keeps incidents of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.monitor.alert import Alert
    from watchroom.monitor.dispatch.notification import Notification
    from watchroom.monitor.notify.integration import Attempt, Links


class Listener(Protocol):
    """What the notifier asks and says; no method raises."""

    def receive(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take news of alerts, once routing has them."""

    def dressed(self, notification: Notification) -> Notification:
        """Return a message with links in its alerts' annotations."""
        ...

    def links(self, notification: Notification) -> Links:
        """Return text and address of what a dressed message leads to."""
        ...

    def delivered(
        self, notification: Notification, attempt: Attempt, attempts: int
    ) -> None:
        """Take how a message ended: accepted by its receiver, or given up."""
