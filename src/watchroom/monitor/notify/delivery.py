"""One notification being delivered, its retries, and how many were not accepted."""

from __future__ import annotations

import asyncio
import collections
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchroom.monitor.dispatch.notification import DeliveryKey, Notification
    from watchroom.monitor.notify.integration import Attempt


class Pace(NamedTuple):
    """When to retry, and for how long (all in seconds).

    Attributes:
        first: The wait after the first failure; it doubles with each failure.
        longest: The longest wait.
        give_up: After this long the delivery is recorded as failed. The group's next
            interval makes a new one while its alerts last.
        overdue: A page not accepted for this long counts as failed, and once more
            each time that this has passed again.
        timeout: One attempt, and each secret that has to be read for it.
        at_once: How many attempts one integration may have under way.
        ledger_timeout: After this long a page goes out without its record.
    """

    first: float = 1.0
    longest: float = 60.0
    give_up: float = 86_400.0
    overdue: float = 60.0
    timeout: float = 10.0
    at_once: int = 8
    ledger_timeout: float = 10.0


class Delivery:
    """One notification being delivered: a task of the event loop until it ends."""

    def __init__(
        self, number: int | None, notification: Notification, body: str, created_ms: int
    ) -> None:
        self.number = number
        self.notification = notification
        self.body = body
        self.created_ms = created_ms
        self.attempts = 0
        self.next_ms = created_ms
        self.waiting_ms = created_ms  # since when it has not been counted as failing
        self.stopped = asyncio.Event()
        self.cancelled = False  # stopped, and not replaced
        self.unsure = False  # an attempt without a response may have arrived
        self.last: tuple[Attempt, str, int, bool] | None = None


class Tally:
    """Notifications of each integration, and how many failed, as Alertmanager counts.

    A notification that is still being tried counts as failed once a minute.
    """

    def __init__(self) -> None:
        self._ended: collections.Counter[tuple[str, str]] = collections.Counter()
        self._failed: collections.Counter[tuple[str, str]] = collections.Counter()

    def count(self, key: DeliveryKey, *, accepted: bool) -> None:
        """Count a notification that was accepted, or was not accepted in time."""
        self._ended[key[:2]] += 1
        self._failed[key[:2]] += not accepted

    def overdue(
        self, deliveries: Iterable[Delivery], now_ms: int, after_ms: int
    ) -> int | None:
        """Count overdue deliveries, tried or not; return when to call again (ms)."""
        first = None
        for delivery in deliveries:
            if now_ms - delivery.waiting_ms >= after_ms:
                delivery.waiting_ms = now_ms
                self.count(delivery.notification.key, accepted=False)
            due_ms = delivery.waiting_ms + after_ms
            first = due_ms if first is None else min(first, due_ms)
        return first

    def of(
        self, names: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], tuple[int, int]]:
        """Return both numbers of each ``(receiver, integration)``, from 0 on."""
        return {name: (self._ended[name], self._failed[name]) for name in names}
