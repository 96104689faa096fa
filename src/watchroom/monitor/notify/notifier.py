"""Sending: the only part of the alerting half that touches the event loop."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import random
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from watchroom.errors import StoreError
from watchroom.monitor.notify import webhook
from watchroom.monitor.notify.delivery import Delivery, Pace, Tally
from watchroom.monitor.notify.integrations import integrations
from watchroom.monitor.notify.pagerduty import PagerDuty
from watchroom.monitor.notify.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    import aiohttp

    from watchroom.formats.alertmanager import Alertmanager
    from watchroom.monitor.alert import Alert
    from watchroom.monitor.dispatch.dispatcher import Dispatcher
    from watchroom.monitor.dispatch.notification import DeliveryKey, Notification
    from watchroom.monitor.notify.integration import Attempt, Links
    from watchroom.monitor.notify.ledger import Ledger
    from watchroom.monitor.notify.listener import Listener

__all__ = ["Notifier", "Pace"]

_LOG = logging.getLogger(__name__)
_LONGEST_SLEEP = 60.0
_T = TypeVar("_T")


class Notifier:
    """Delivers what the dispatcher decides: records, sends, retries.

    Args:
        config: A `formats.alertmanager` configuration.
        config_dir: What `url_file` and `credentials_file` are relative to.
        dispatcher: Decides which notifications are due.
        ledger: Records deliveries.
        session: Sends requests; the caller closes it.
        external_url: externalURL in payloads.
        now: Seconds since the epoch.
        pace: Retries and time limits.
        links: A message's links besides its alerts' own.
        oncall: Keeps incidents, and puts links to them into messages.

    Raises:
        ConfigError: A template of a receiver does not parse.
    """

    def __init__(
        self,
        config: Alertmanager,
        *,
        config_dir: Path,
        dispatcher: Dispatcher,
        ledger: Ledger,
        session: aiohttp.ClientSession,
        external_url: str,
        now: Callable[[], float],
        pace: Pace | None = None,
        links: Callable[[Notification], Links] = lambda _: (),
        oncall: Listener | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._ledger = ledger
        self._external_url = external_url
        self._now = now
        self._pace = pace or Pace()
        self._sender = Sender(session, self._pace)
        self._sender.use(integrations(config, config_dir), config_dir)
        self._links = links
        self._oncall = oncall
        self._deliveries: dict[DeliveryKey, Delivery] = {}
        self._counts: collections.Counter[tuple[str, str]] = collections.Counter()
        self._tally = Tally()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: dict[DeliveryKey, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def _now_ms(self) -> int:
        return round(self._now() * 1000)

    async def run(self) -> None:
        """Deliver until cancelled: a task of the event loop.

        Starts with what the last process left open. On cancellation nothing is marked:
        what was being sent is sent again by the next process.
        """
        self._loop = asyncio.get_running_loop()
        try:
            await self._resume()
            while True:
                self._wake.clear()
                notifications = self._dispatcher.advance(self._now_ms())
                # Together, so that their records share a commit.
                await asyncio.gather(*map(self._begin, notifications))
                await self._pause()
        finally:
            self._loop = None
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _pause(self) -> None:
        overdue_ms = self._tally.overdue(
            self._deliveries.values(), self._now_ms(), round(self._pace.overdue * 1000)
        )
        seconds = _LONGEST_SLEEP
        for due_ms in (self._dispatcher.due_ms(), overdue_ms):
            if due_ms is not None:
                seconds = min(max(due_ms / 1000 - self._now(), 0.0), seconds)
        with contextlib.suppress(TimeoutError):
            # Not wait_for: Python 3.11's loses a cancellation that meets a wake-up.
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _resume(self) -> None:
        for pending in await asyncio.to_thread(self._ledger.pending):
            delivery = Delivery(
                pending.id, pending.notification, pending.body, pending.created_ms
            )
            delivery.attempts = pending.attempts
            delivery.next_ms = pending.next_ms
            delivery.waiting_ms = self._now_ms()  # nothing could accept it before
            key = pending.notification.key
            if self._sender.integration(key) is None:
                reason = f"receiver {key.receiver!r} is no longer in alertmanager.yml"
                await self._drop(key, reason)
                settle = self._dispatcher.settle
                settle(pending.notification, accepted=False, now_ms=self._now_ms())
            else:
                self._launch(delivery)

    def submit(self, alerts: Sequence[Alert]) -> None:
        """Hand alerts to the dispatcher and wake the loop: from any thread."""
        now_ms = self._now_ms()
        self._dispatcher.receive(alerts, now_ms)
        self._inform_oncall(alerts, now_ms)
        self.wake()

    def take(self, alerts: Sequence[Alert]) -> int:
        """Hand over posted alerts; return how many the limit refused."""
        now_ms = self._now_ms()
        refused = self._dispatcher.take(alerts, now_ms)
        self._inform_oncall(alerts, now_ms)
        self.wake()
        return refused

    def _inform_oncall(self, alerts: Sequence[Alert], now_ms: int) -> None:
        if self._oncall is not None:
            self._oncall.receive(alerts, now_ms)

    def cancel_repeats(self, fingerprints: Iterable[str]) -> None:
        """Cancel repeats that an acknowledgement made needless: from any thread."""
        self._dispatcher.flush_waiting(fingerprints, self._now_ms())
        self.wake()

    def wake(self) -> None:
        """Ask the dispatcher again what is due: from any thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closing
                loop.call_soon_threadsafe(self._wake.set)

    async def reload(self, config: Alertmanager, config_dir: Path) -> None:
        """Take a new configuration; deliveries to receivers that stay continue.

        Raises:
            ConfigError: It is invalid; nothing has changed then.
        """
        fresh = integrations(config, config_dir)
        dropped = self._dispatcher.reload(config, self._now_ms())
        self._sender.use(fresh, config_dir)
        for key, reason in dropped:
            delivery = self._deliveries.pop(key, None)
            if delivery is not None:
                delivery.stopped.set()
            await self._drop(key, reason)
        self._wake.set()

    async def _drop(self, key: DeliveryKey, reason: str) -> None:
        self._counts[key.receiver, "dropped"] += 1
        await self._written(self._ledger.drop(key, reason, self._now_ms()))

    async def _written(self, future: Future[_T]) -> _T | None:
        """Wait for the ledger; a disk that fails or hangs must not stop a page."""
        try:
            async with asyncio.timeout(self._pace.ledger_timeout):
                return await asyncio.wrap_future(future)
        except Exception:  # noqa: BLE001 - a failing disk must not stop a page
            self._counts["", "ledger_failed"] += 1
            return None

    async def _begin(self, notification: Notification) -> None:
        """Record the delivery, then let a task send it in place of the one before."""
        key, now_ms = notification.key, self._now_ms()
        before = self._deliveries.pop(key, None)
        if before is not None:
            before.cancelled = notification.kind == "cancel"
            before.stopped.set()
            outcome = "superseded" if notification.kind == "send" else "dropped"
            self._counts[key.receiver, outcome] += 1
        integration = self._sender.integration(key)
        if notification.kind != "send" or integration is None:
            await self._written(self._ledger.note(notification, now_ms))
            return
        try:
            links = self._links(notification)
            if self._oncall is not None:
                notification = self._oncall.with_links(notification)
                links += self._oncall.links(notification)
            text = integration.compose(notification, self._external_url, links)
        except Exception:  # noqa: BLE001 - one bad text must not end all delivery
            _LOG.exception(
                "the notification for %s could not be rendered", key.receiver
            )
            text = ""  # fails at the first attempt, and in the ledger
        where = integration.destination
        intent = self._ledger.intend(notification, text, where, now_ms)
        number = await self._written(intent)
        delivery = Delivery(number, notification, text, now_ms)
        if before is not None:  # newer content does not make the wait any shorter
            delivery.waiting_ms = before.waiting_ms
        if number is None:
            intent.add_done_callback(partial(self._intended_late, delivery))
        self._launch(delivery)

    def _intended_late(self, delivery: Delivery, intent: Future[int]) -> None:
        """Take a ledger id that came after its page was sent (any thread)."""
        loop = self._loop
        if intent.exception() is None and loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closing
                loop.call_soon_threadsafe(self._number, delivery, intent.result())

    def _number(self, delivery: Delivery, number: int) -> None:
        delivery.number = number
        with contextlib.suppress(StoreError):
            self._record(delivery)

    def _launch(self, delivery: Delivery) -> None:
        key = delivery.notification.key
        self._deliveries[key] = delivery
        task = asyncio.create_task(self._deliver(delivery, self._last.get(key)))
        self._last[key] = task
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, key))

    def _ended(self, key: DeliveryKey, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._last.get(key) is task:
            del self._last[key]

    async def _deliver(
        self, delivery: Delivery, before: asyncio.Task[None] | None
    ) -> None:
        """Try until accepted, refused for good, replaced, or too old."""
        key = delivery.notification.key
        if before is not None:
            await asyncio.wait([before])  # never two messages of one key at once
        while not delivery.stopped.is_set():
            await self._sleep(delivery)
            if delivery.stopped.is_set():
                break
            async with self._sender.slot(key):
                if delivery.stopped.is_set():
                    break
                delivery.attempts += 1
                destination, attempt = await self._sender.attempt(key, delivery.body)
            if await self._finish_attempt(delivery, attempt, destination):
                return
        if delivery.cancelled and delivery.unsure:
            # The receiver may have taken it, so it has to be notified of the end.
            now_ms, notification = self._now_ms(), delivery.notification
            self._dispatcher.settle(notification, accepted=True, now_ms=now_ms)
            await self._written(self._ledger.log(notification, now_ms))

    async def _sleep(self, delivery: Delivery) -> None:
        # Bounded, since the clock may have been set back meanwhile.
        seconds = min(delivery.next_ms / 1000 - self._now(), webhook.LONGEST_WAIT)
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await delivery.stopped.wait()

    async def acknowledge(
        self, fingerprints: Iterable[str], skip: Collection[str]
    ) -> list[tuple[str, Attempt]]:
        """Acknowledge these alerts at PagerDuty, which keeps incidents of its own.

        Args:
            fingerprints: Of the alerts.
            skip: Names of deliveries that need no acknowledgement.

        Returns the name of each delivery key, and how the attempt went.
        """
        names, attempts = [], []
        for key in self._dispatcher.notified_keys(fingerprints):
            pager = self._sender.integration(key)
            name = f"{key.receiver}/{key.integration}/{key.group_key}"
            if isinstance(pager, PagerDuty) and name not in skip:
                names.append(name)
                body = pager.acknowledgement(key.group_key)
                attempts.append(self._sender.attempt(key, body))
        results = await asyncio.gather(*attempts)  # no service waits for another
        return [
            (name, result.attempt) for name, result in zip(names, results, strict=True)
        ]

    async def _finish_attempt(
        self, delivery: Delivery, attempt: Attempt, destination: str
    ) -> bool:
        """Record an attempt; return whether it was the last."""
        now_ms = self._now_ms()
        age = (now_ms - delivery.created_ms) / 1000
        again = attempt.retry and age < self._pace.give_up
        if again:
            wait = min(
                self._pace.first * 2.0 ** min(delivery.attempts - 1, 30),
                self._pace.longest,
            )
            wait *= 1 + random.random() / 5  # noqa: S311 - spreads load, no secret
            delivery.next_ms = now_ms + round(max(wait, attempt.retry_after) * 1000)
        outcome = "sent" if attempt.accepted else "retried" if again else "failed"
        notification = delivery.notification
        self._counts[notification.key.receiver, outcome] += 1
        if not again:
            self._tally.count(notification.key, accepted=attempt.accepted)
        delivery.last = attempt, destination, now_ms, again
        delivery.unsure |= attempt.unsure
        record = self._record(delivery)
        if record is not None:
            await self._written(record)
        if again:
            return False
        self._dispatcher.settle(notification, accepted=attempt.accepted, now_ms=now_ms)
        if self._oncall is not None:
            self._oncall.delivered(notification, attempt, delivery.attempts)
        if self._deliveries.get(notification.key) is delivery:
            del self._deliveries[notification.key]
        return True

    def _record(self, delivery: Delivery) -> Future[None] | None:
        """Record the last attempt, once the delivery has its ledger id."""
        if delivery.number is None or delivery.last is None:
            return None
        attempt, destination, at_ms, again = delivery.last
        return self._ledger.outcome(
            delivery.number,
            delivery.notification,
            attempt,
            number=delivery.attempts,
            at_ms=at_ms,
            destination=destination,
            next_ms=delivery.next_ms if again else None,
        )

    def notified(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Return ``(receiver, integration)`` → notifications, and failed ones."""
        return self._tally.of(self._sender.names())

    def stats(self) -> dict[tuple[str, str], float]:
        """Return ``(receiver, outcome)`` → count.

        Outcomes: sent, failed, retried, superseded, dropped; ``("", "queue")`` is the
        number of deliveries now open, ``("", "ledger_failed")`` counts records that
        state.db refused or was late with (the page went out all the same).
        """
        counts: dict[tuple[str, str], float] = dict(self._counts)
        counts["", "queue"] = len(self._deliveries)
        return counts
