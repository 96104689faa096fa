"""Queries in a pool of their own, bounded in number and time, on snapshots."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from watchroom.errors import QueryLimitError, WatchroomError

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.monitor.store import Store
    from watchroom.promql.engine import Engine
    from watchroom.promql.model import Queryable

_R = TypeVar("_R")


class QueriesBusyError(WatchroomError):
    """As many queries wait as may; try again later."""


class QueryTimeoutError(QueryLimitError):
    """The query had no answer when its caller's time was over."""


class Queries:
    """Runs work on a snapshot in worker threads, so that the loop stays free.

    Args:
        store: Where snapshots come from.
        engine: Evaluates; it keeps to its own deadline inside a thread.
        workers: Threads.
        waiting: The most calls that may wait for a thread; more are refused.
        seconds: How long a caller waits for its answer, queueing included.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        *,
        workers: int = 2,
        waiting: int = 32,
        seconds: float = 30.0,
    ) -> None:
        self.engine = engine
        self.seconds = seconds
        self._store = store
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="query")
        self._most = workers + waiting
        self._under_way = 0
        self.counts = {"ok": 0, "failed": 0, "refused": 0, "timeout": 0}
        self.busy_seconds = 0.0

    async def run(
        self, work: Callable[[Engine, Queryable], _R], seconds: float | None = None
    ) -> _R:
        """Return what `work` makes of the engine and a fresh snapshot.

        Raises:
            QueriesBusyError: Too many calls are waiting already.
            QueryTimeoutError: There was no answer within `seconds`.
        """
        if self._under_way >= self._most:
            self.counts["refused"] += 1
            raise QueriesBusyError("too many queries are waiting, try again")
        self._under_way += 1
        limit = min(seconds or self.seconds, self.seconds)
        deadline = time.monotonic() + limit
        future = asyncio.get_running_loop().run_in_executor(
            self._pool, self._work, work, deadline
        )
        # The thread runs on to its own deadline; its place is free when it ends.
        future.add_done_callback(self._ended)
        try:
            async with asyncio.timeout(limit):
                result = await asyncio.shield(future)
        except TimeoutError as error:
            self.counts["timeout"] += 1
            raise QueryTimeoutError(f"no answer within {limit:g} s") from error
        except WatchroomError:
            self.counts["failed"] += 1
            raise
        self.counts["ok"] += 1
        return result

    def _work(self, work: Callable[[Engine, Queryable], _R], deadline: float) -> _R:
        began = time.monotonic()
        if began > deadline:
            raise QueryTimeoutError("the deadline passed while the query waited")
        try:
            return work(self.engine, self._store.snapshot())
        finally:
            self.busy_seconds += time.monotonic() - began

    def _ended(self, future: asyncio.Future[Any]) -> None:
        self._under_way -= 1
        if not future.cancelled():
            future.exception()  # a caller that gave up never asks for it

    def close(self) -> None:
        """Take no more work and wait for what runs."""
        self._pool.shutdown(wait=True, cancel_futures=True)
