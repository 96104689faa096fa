"""What a query may use, and what all queries may use together: samples, bytes, time."""

from __future__ import annotations

import threading
import time

from watchroom.errors import QueryLimitError

CELL_BYTES = 8
"""What one value of one series at one step takes; the mask beside it is an eighth."""


class MemoryBudget:
    """Bytes that all queries of an engine may hold at the same time.

    Attributes:
        held: Bytes held now.
        most: The most that were held at once.
        refused: Queries that were refused for want of memory, their own or the shared.
    """

    def __init__(self, query_bytes: int, all_bytes: int) -> None:
        """Set the bounds of one query, and of all together."""
        self.query_bytes = query_bytes
        self.all_bytes = all_bytes
        self.held = 0
        self.most = 0
        self.refused = 0
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Hold `count` bytes more, if they are to be had."""
        with self._lock:
            if self.held + count > self.all_bytes:
                return False
            self.held += count
            self.most = max(self.most, self.held)
            return True

    def give(self, count: int) -> None:
        """Give back bytes that were held."""
        with self._lock:
            self.held -= count

    def refuse(self) -> None:
        """Count a query that was refused."""
        with self._lock:
            self.refused += 1


class Budget:
    """What a query may still use; its creator closes it at the end.

    Attributes:
        used: Samples touched: stored ones and results.
        loaded: Stored samples that its selectors looked at, once for each step.
    """

    def __init__(
        self, max_samples: int, timeout_seconds: float, memory: MemoryBudget
    ) -> None:
        """Begin now: the deadline is `timeout_seconds` away."""
        self.used = 0
        self.loaded = 0
        self._max_samples = max_samples
        self._deadline = time.monotonic() + timeout_seconds
        self._timeout_seconds = timeout_seconds
        self._memory = memory
        self._bytes = 0

    def close(self) -> None:
        """Give back the bytes that are held."""
        self._memory.give(self._bytes)
        self._bytes = 0

    def settle(self, count: int) -> None:
        """Keep `count` bytes of what is held, and give back the rest."""
        rest = max(0, self._bytes - count)
        self._memory.give(rest)
        self._bytes -= rest

    def spend(self, samples: int) -> None:
        """Count `samples` as touched and their bytes as held, and look at the clock.

        Called before what holds them is allocated.

        Raises:
            QueryLimitError: There are too many, or it is too late.
        """
        self.used += samples
        if self.used > self._max_samples:
            raise QueryLimitError(
                "query processing would load too many samples into memory in query "
                f"execution: the limit is {self._max_samples}"
            )
        self.reserve(samples)

    def reserve(self, cells: int) -> None:
        """Hold the bytes of `cells` values, and look at the clock.

        Raises:
            QueryLimitError: They are more than this query or all queries may hold, or
                it is too late.
        """
        self.hold(cells * CELL_BYTES)

    def hold(self, count: int) -> None:
        """Hold bytes, and look at the clock; as `reserve`."""
        self.check()
        memory = self._memory
        if self._bytes + count > memory.query_bytes:
            memory.refuse()
            raise QueryLimitError(
                f"the query needs more than {memory.query_bytes >> 20} MiB of memory: "
                "ask for fewer series, a shorter time or a longer step"
            )
        if not memory.take(count):
            memory.refuse()
            raise QueryLimitError(
                f"all queries together need more than {memory.all_bytes >> 20} MiB of "
                "memory: try again, or ask for fewer series or a longer step"
            )
        self._bytes += count

    def check(self) -> None:
        """Raise QueryLimitError when the deadline has passed."""
        if time.monotonic() > self._deadline:
            raise QueryLimitError(
                f"query timed out in expression evaluation after "
                f"{self._timeout_seconds:g} s"
            )
