"""The scrape loops: one task per target, sockets on the loop, parsing in a pool."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from watchroom.errors import FormatError, StoreError
from watchroom.monitor.schedule import next_due
from watchroom.monitor.scrape.client import fetch
from watchroom.monitor.scrape.series import TargetSeries
from watchroom.monitor.scrape.timestamps import TimestampSplitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import ThreadPoolExecutor

    import aiohttp

    from watchroom.monitor.schedule import Schedule
    from watchroom.monitor.scrape.itself import SelfTarget
    from watchroom.monitor.scrape.series import ScrapedRow
    from watchroom.monitor.scrape.target import Target
    from watchroom.monitor.scrape.timestamps import StampedRow
    from watchroom.monitor.store import Store

_R = TypeVar("_R")
_LOG = logging.getLogger(__name__)


async def in_pool(
    pool: ThreadPoolExecutor, call: Callable[..., _R], *args: object
) -> _R:
    """Return what `call` gives in a thread; a task that ends waits for it first.

    Or the end of a target could be written beside the row that was on its way.
    """
    job = asyncio.get_running_loop().run_in_executor(pool, call, *args)
    try:
        return await asyncio.shield(job)
    finally:
        if not job.done():
            await asyncio.wait([job])


@dataclass
class ScrapeCounts:
    """What scraping has done since start, for /metrics."""

    scrapes: int = 0
    failures: int = 0
    samples: int = 0
    out_of_order: int = 0
    duplicates: int = 0
    timestamps: int = 0
    out_of_bounds: int = 0
    store_failures: int = 0


class ScrapeParts(NamedTuple):
    """What every scraper uses."""

    schedule: Schedule
    client: aiohttp.ClientSession
    store: Store
    pool: ThreadPoolExecutor
    itself: SelfTarget | None
    counts: ScrapeCounts


class Scraper:
    """Scrapes one target until stopped, and knows how it last went.

    Attributes:
        health: ``unknown``, ``up`` or ``down``.
        last_error: Why it is down, in one line; "" when it is not.
        last_scrape: When the last scrape began, epoch seconds; 0 before the first.
        last_seconds: How long it took.
    """

    def __init__(
        self,
        target: Target,
        parts: ScrapeParts,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.target = target
        self.health = "unknown"
        self.last_error = ""
        self.last_scrape = 0.0
        self.last_seconds = 0.0
        self._parts = parts
        self._counts = parts.counts
        self._now = now
        self._series = TargetSeries(
            target.labels,
            honor_labels=target.honor_labels,
            honor_timestamps=target.honor_timestamps,
            track_staleness=target.track_staleness,
            sample_limit=target.sample_limit,
        )
        self._splitter = TimestampSplitter()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin: one scrape at once, then on schedule."""
        self._task = asyncio.create_task(self._run(), name=self.target.key)

    async def stop(self, *, gone: bool) -> None:
        """End; a target that is `gone` leaves stale markers behind."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if gone:
            await in_pool(self._parts.pool, self._end, round(self._now() * 1000))

    async def _run(self) -> None:
        due = self._now()
        while True:
            try:
                await self.scrape(due)
            except Exception:  # noqa: BLE001 - a target's loop outlives any bug in it
                _LOG.exception(
                    "scrape of %s failed inside the monitor", self.target.url
                )
                self.health, self.last_error = "down", "internal error, see the log"
            interval = self.target.interval
            offset = self._parts.schedule.offset(self.target.key, interval)
            due = next_due(self._now(), due, interval, offset)
            await asyncio.sleep(max(0.0, due - self._now()))

    async def scrape(self, due: float) -> None:
        """Scrape once; `due` becomes the timestamp when it is kept closely."""
        began = self._now()
        stamp = due if abs(began - due) <= 0.02 * self.target.interval else began
        clock = time.perf_counter()
        body: str | FormatError
        itself = self._parts.itself
        if itself is not None and itself.answers(self.target):
            body = itself.body()
        else:
            try:
                body = await fetch(self._parts.client, self.target)
            except FormatError as error:
                body = error
        seconds = time.perf_counter() - clock
        problem = await in_pool(
            self._parts.pool, self._store_row, round(stamp * 1000), body, seconds
        )
        self._counts.scrapes += 1
        self._counts.failures += bool(problem)
        self.last_scrape, self.last_seconds = stamp, seconds
        self.health, self.last_error = ("down", problem) if problem else ("up", "")

    def _store_row(self, stamp: int, body: str | FormatError, seconds: float) -> str:
        """Append the scrape; return what was wrong with it, or ""."""
        problem = ""
        before = self._series.ignored_timestamps
        try:
            if isinstance(body, FormatError):
                raise body
            row = self._series.read(body)
            placed = self._splitter.rows(row.stamped, stamp) if row.stamped else None
            self._counts.timestamps += self._series.ignored_timestamps - before
        except FormatError as error:
            problem, placed = str(error), None
            row = self._series.fail()
        if placed is not None:
            self._counts.out_of_bounds += placed.out_of_bounds
            for stamped in placed.rows:
                self._append(stamped.at_ms, stamped, stamped.suffix)
        row = self._series.with_reports(row, up=not problem, seconds=seconds)
        return self._append(stamp, row) or problem

    def _end(self, stamp: int) -> None:
        self._append(stamp, self._series.end())

    def _append(
        self, stamp: int, row: ScrapedRow | StampedRow, suffix: str = ""
    ) -> str:
        name = f"{self.target.key}{suffix}"
        try:
            done = self._parts.store.append(name, stamp, row.labels, row.values)
        except StoreError as error:
            self._counts.store_failures += 1
            return f"scraped, but not stored: {error}"
        self._counts.samples += done.accepted
        self._counts.out_of_order += done.out_of_order
        self._counts.duplicates += done.duplicate
        return ""


class Scrapers:
    """All running scrapers, changed as discovery and reloads change the targets."""

    def __init__(
        self,
        schedule: Schedule,
        client: aiohttp.ClientSession,
        store: Store,
        pool: ThreadPoolExecutor,
        itself: SelfTarget | None = None,
    ) -> None:
        self.counts = ScrapeCounts()
        self._parts = ScrapeParts(schedule, client, store, pool, itself, self.counts)
        self._running: dict[Target, Scraper] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def set(self, targets: Iterable[Target]) -> None:
        """Scrape exactly `targets` from now on; unchanged ones are not disturbed."""
        wanted = dict.fromkeys(targets)
        keys = {target.key for target in wanted}
        for target in [t for t in self._running if t not in wanted]:
            scraper = self._running.pop(target)
            # The same series under new settings go on, without an end in between.
            task = asyncio.create_task(scraper.stop(gone=target.key not in keys))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
        self._parts.schedule.resize(len(wanted))
        for target in wanted:
            if target not in self._running:
                scraper = Scraper(target, self._parts)
                self._running[target] = scraper
                scraper.start()

    def all(self) -> list[Scraper]:
        """Return the running scrapers in the order of their jobs and labels."""
        return sorted(self._running.values(), key=lambda s: s.target.key)

    async def stop(self) -> None:
        """End every scraper; nothing is marked stale, since the targets live on."""
        scrapers = list(self._running.values())
        self._running.clear()
        await asyncio.gather(*(s.stop(gone=False) for s in scrapers), *self._ending)
