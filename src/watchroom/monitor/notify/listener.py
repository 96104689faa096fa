"""What the notifier needs of on-call, which keeps the incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.monitor.alert import Alert
    from watchroom.monitor.dispatch.notification import Notification
    from watchroom.monitor.notify.integration import Attempt, Links


class Listener(Protocol):
    """What the notifier calls; no method raises."""

    def receive(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take new, firing or resolved alerts, once routing has them."""

    def with_links(self, notification: Notification) -> Notification:
        """Return a notification with links in its alerts' annotations."""
        ...

    def links(self, notification: Notification) -> Links:
        """Return text and URL of a notification's links."""
        ...

    def delivered(
        self, notification: Notification, attempt: Attempt, attempts: int
    ) -> None:
        """Take how a delivery ended: accepted by its receiver, or given up."""
