"""Blocks and timestamp columns as read, the least recently used leaving first."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from watchroom.monitor.store.block import Block
from watchroom.monitor.store.codec import unpack_integers

if TYPE_CHECKING:
    from watchroom.monitor.store.database import Database
    from watchroom.monitor.store.memory import StoreCounts
    from watchroom.promql.model import Times


class Cache:
    """Reads through to the database; `limit` bounds the bytes it keeps.

    A block is kept unpacked but not summed: a byte or two a cell for counters, where
    the float64 matrix would take eight.
    """

    def __init__(self, database: Database, limit: int, counts: StoreCounts) -> None:
        self._database = database
        self._limit = limit
        self._counts = counts
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[str, int, int], tuple[Block | Times, int]]
        self._entries = OrderedDict()
        self.nbytes = 0

    def block(self, generation: int, block: int) -> Block:
        """Return a block of the database's `generation`.

        Raises:
            CorruptError: It is damaged or gone.
            StoreError: The disk cannot be read now.
        """
        key = ("block", generation, block)
        cached = self._get(key)
        if isinstance(cached, Block):
            return cached
        loaded = Block(self._database.body(generation, block))
        with self._lock:
            self._counts.blocks_fetched += 1
        self._put(key, loaded, loaded.nbytes)
        return loaded

    def times(self, generation: int, times: int) -> Times:
        """Return a timestamp column; raises like `block`."""
        key = ("times", generation, times)
        cached = self._get(key)
        if cached is not None and not isinstance(cached, Block):
            return cached
        loaded = unpack_integers(self._database.times_body(generation, times))
        self._put(key, loaded, loaded.nbytes)
        return loaded

    def decoded(self, rows: int) -> None:
        """Count rows summed for a query."""
        with self._lock:
            self._counts.rows_decoded += rows

    def _get(self, key: tuple[str, int, int]) -> Block | Times | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def _put(self, key: tuple[str, int, int], value: Block | Times, size: int) -> None:
        size += 200
        if size > self._limit // 4:
            return
        with self._lock:
            if key in self._entries:
                return
            self._entries[key] = (value, size)
            self.nbytes += size
            while self.nbytes > self._limit:
                _, (_, freed) = self._entries.popitem(last=False)
                self.nbytes -= freed
