"""One message on its way, how hard it is tried, and how many were not accepted."""

from __future__ import annotations

import asyncio
import collections
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchroom.monitor.dispatch.notification import DeliveryKey, Notification
    from watchroom.monitor.notify.integration import Attempt


class Pace(NamedTuple):
    """How hard to try (seconds).

    Attributes:
        first: The wait after the first failure; it doubles with each one.
        longest: The longest wait.
        give_up: After this long the delivery is recorded as failed. The group's next
            interval makes a new one while its alerts last.
        overdue: A page that nobody has accepted for so long counts as failing, and
            again each time that this has passed.
        timeout: One attempt, and each secret that has to be read for it.
        at_once: How many attempts may be under way by one integration.
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
    """One message on its way: a task of the loop until it has ended."""

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
        self.called_back = False  # stopped, with nothing in its place
        self.unsure = False  # an attempt without an answer may have been taken
        self.last: tuple[Attempt, str, int, bool] | None = None


class Tally:
    """What Alertmanager counts of each integration: messages, and those that failed.

    A message that is still being tried counts as failed once a minute.
    """

    def __init__(self) -> None:
        self._ended: collections.Counter[tuple[str, str]] = collections.Counter()
        self._failed: collections.Counter[tuple[str, str]] = collections.Counter()

    def count(self, key: DeliveryKey, *, accepted: bool) -> None:
        """Count a message that was accepted or was not, in time."""
        self._ended[key[:2]] += 1
        self._failed[key[:2]] += not accepted

    def overdue(
        self, deliveries: Iterable[Delivery], now_ms: int, after_ms: int
    ) -> int | None:
        """Count what waits too long, tried or not; return when to look again."""
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
