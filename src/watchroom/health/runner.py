"""Runs checks so that none blocks another, and no request waits too long.

Each check has one run at a time, in a daemon thread. One that never ends is given up
for another, each time later and a few times at most. Never an executor: pools are
joined when an event loop closes and when the process exits, and then wait for the very
thread that a timeout has given up (measured in a peer: the health page, and with
uvicorn the exit, hang with the database).
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchroom.health.checks import Check

OK, ERROR, PENDING = "ok", "error", "pending"
TIMEOUT, STUCK = "timeout", "stuck"
# What anybody waits, whatever a check may take: the exporter's patience is four.
MOST_SECONDS = 3.0
STUCK_AFTER = 3  # times the check's own timeout
# With less, a run would be given up that ends by itself, as when its server accepts the
# connection and doesn't answer the login.
_SHORTEST_TIMEOUT = 1.0
_MOST_GIVEN_UP = 8  # threads a check; the last of them after hours
_LOG = logging.getLogger("watchroom.health")


class Result(NamedTuple):
    """What is known of a check.

    Attributes:
        check: Which.
        ok: Whether it passed.
        word: What everybody may see: ``ok``, ``error``, ``pending`` while its first run
            may still take longer than anybody waits, or a word of the check's own.
        error: The class of what it raised, ``timeout`` or ``stuck``; empty when ok.
        seconds: How long the run took, or has taken.
        age: Seconds since the run ended, or began when it never ended.
    """

    check: Check
    ok: bool
    status: str
    error: str
    seconds: float
    age: float


class _Run:
    __slots__ = ("begun", "done")

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.done: Future[None] = Future()
        # Under way from the start: a caller that gives up must not cancel it.
        self.done.set_running_or_notify_cancel()


class _End(NamedTuple):
    at: float
    seconds: float
    status: str
    error: str


class CheckState:
    """One check: its current run, and how the last one ended."""

    def __init__(self, check: Check, now: Callable[[], float], most: float) -> None:
        self.check = check
        self._now = now
        self._most = most
        self._lock = threading.Lock()
        self._run: _Run | None = None
        self._end: _End | None = None
        self._failing: bool | None = None
        self._given_up = 0

    def kick(self) -> _Run | None:
        """Start a run unless one is running or the last is fresh enough."""
        with self._lock:
            run, end, now = self._run, self._end, self._now()
            if run is not None:
                if now - run.begun <= self._patience():
                    return run
                # It may wait for a host that is gone, while another has its place.
                self._given_up += 1
                self._end = _End(now, now - run.begun, "", STUCK)
            elif end is not None and (
                now - end.at < self.check.ttl or (self.check.once and not end.error)
            ):
                return None
            run = self._run = _Run(now)
        name = f"health-{self.check.name}"
        try:
            threading.Thread(
                target=self._work, args=(run,), name=name, daemon=True
            ).start()
        except RuntimeError as error:  # no more threads
            self._finish(run, "", type(error).__name__)
        return run

    def _patience(self) -> float:
        if self._given_up >= _MOST_GIVEN_UP:
            return math.inf
        longer: int = STUCK_AFTER ** (1 + self._given_up)
        return longer * max(self.check.timeout, _SHORTEST_TIMEOUT)

    def left(self, run: _Run) -> float:
        """Return how long a caller may still wait for a run.

        Not at all when the last one was given up: an outage would cost every probe that
        comes after the `ttl` the whole time-out again.
        """
        end = self._end
        if end is not None and end.error and end.seconds >= self.check.timeout:
            return 0.0
        return run.begun + min(self.check.timeout, self._most) - self._now()

    def result(self) -> Result:
        """Return what is known now."""
        with self._lock:
            run, end, now = self._run, self._end, self._now()
        elapsed = 0.0 if run is None else now - run.begun
        in_time = elapsed < self.check.timeout
        if end is not None and in_time:
            status = ERROR if end.error else end.status or OK
            outcome = Result(
                self.check, not end.error, status, end.error, end.seconds, now - end.at
            )
        elif in_time and self.check.timeout > self._most:
            return Result(self.check, False, PENDING, PENDING, elapsed, elapsed)
        else:
            stuck = elapsed > STUCK_AFTER * self.check.timeout
            again = end is not None and end.error == STUCK
            error = STUCK if stuck or again else TIMEOUT
            outcome = Result(self.check, False, ERROR, error, elapsed, elapsed)
        self._log_change(outcome)
        return outcome

    def _work(self, run: _Run) -> None:
        status, failed = "", ""
        try:
            status = self.check.run(self.check.timeout) or ""
        except BaseException as error:  # noqa: BLE001 - whatever a check raises is its result
            failed = type(error).__name__
            _LOG.debug("The health check %r failed.", self.check.name, exc_info=True)
        finally:
            _close_connections()
            self._finish(run, status, failed)

    def _finish(self, run: _Run, status: str, failed: str) -> None:
        with self._lock:
            if self._run is run:
                now = self._now()
                self._end = _End(now, now - run.begun, status, failed)
                self._run = None
            else:  # what it found is of the past
                self._given_up -= 1
        run.done.set_result(None)

    def _log_change(self, result: Result) -> None:
        with self._lock:
            before, self._failing = self._failing, not result.ok
        if not result.ok and not before:
            # The class only: texts of database errors name hosts and users.
            _LOG.warning(
                "The %s health check %r fails: %s.",
                result.check.kind,
                result.check.name,
                result.error,
            )
        elif result.ok and before:
            _LOG.info("The health check %r passes again.", result.check.name)


class Runner:
    """The checks of this process."""

    def __init__(
        self, now: Callable[[], float] = time.monotonic, most: float = MOST_SECONDS
    ) -> None:
        self._now = now
        self._most = most
        self._pid = 0
        self._lines: dict[tuple[str, bool], CheckState] = {}

    def run(self, checks: Iterable[Check]) -> list[Result]:
        """Return the results of `checks`, after at most the longest of their times.

        A check that may outlast every request is reported with its last result.
        """
        lines = self._lines_of(checks)
        runs = [(line, line.kick()) for line in lines]
        for line, run in runs:
            if run is not None and (left := line.left(run)) > 0:
                with suppress(TimeoutError):
                    run.done.result(left)
        return [line.result() for line in lines]

    async def arun(self, checks: Iterable[Check]) -> list[Result]:
        """Do the same without holding up the event loop, or a thread of its pool."""
        lines = self._lines_of(checks)
        runs = [(line, line.kick()) for line in lines]
        for line, run in runs:
            if run is None or run.done.done() or (left := line.left(run)) <= 0:
                continue
            waiting = asyncio.wrap_future(run.done)
            try:
                await asyncio.wait((waiting,), timeout=left)
            finally:
                waiting.cancel()
        return [line.result() for line in lines]

    def _lines_of(self, checks: Iterable[Check]) -> list[CheckState]:
        if self._pid != os.getpid():
            # The parent's threads did not come along, and its locks may be held.
            self._pid, self._lines = os.getpid(), {}
        lines = self._lines
        states = []
        for check in checks:
            # A project's own check may have the name of the one at the start.
            key = check.name, check.once
            line = lines.get(key)
            if line is None or line.check != check:
                line = lines.setdefault(key, self._line(check))
                if line.check != check:
                    line = lines[key] = self._line(check)
            states.append(line)
        return states

    def _line(self, check: Check) -> CheckState:
        return CheckState(check, self._now, self._most)


def _close_connections() -> None:
    """Close what the check opened: thread-local, they would be lost with the thread."""
    from django.db import connections

    with suppress(Exception):  # a database that is down
        connections.close_all()
