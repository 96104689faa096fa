"""The durable store of samples: append rows, take snapshots, keep the file small."""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import TYPE_CHECKING

import numpy as np

from watchroom.errors import StoreError
from watchroom.monitor.clock import forgotten_ms
from watchroom.monitor.store.cache import Cache
from watchroom.monitor.store.database import Database
from watchroom.monitor.store.directory import DirectoryLock
from watchroom.monitor.store.memory import AppendResult, StoreMemory
from watchroom.monitor.store.snapshot import BlockSource, Snapshot
from watchroom.monitor.store.upkeep import Upkeep
from watchroom.monitor.store.writer import Writer
from watchroom.promql.model import Matcher
from watchroom.units import span

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Self

    from watchroom.monitor.store.blocks import BlockRef
    from watchroom.monitor.store.codec import CorruptError
    from watchroom.promql.model import Floats, Labels

_LOG = logging.getLogger(__name__)
_SHED_EVERY = 64
_AHEAD_SECONDS = 120.0
_AHEAD_AT_START_SECONDS = 900.0
"""More than an exposed timestamp may be ahead: the clock was set back meanwhile."""


class Store:
    """Samples in ``samples.db`` of one directory, held by one process.

    Every method may be called from any thread.

    Raises:
        StoreError: The directory is held by another process, cannot be written, lies on
            a network file system, or its samples.db is of a newer format.
    """

    def __init__(
        self,
        path: Path,
        *,
        retention_seconds: float = 31 * 86400.0,
        retention_bytes: int = 2 << 30,
        now: Callable[[], float] = time.time,
        memory_bytes: int = 256 << 20,
        cache_bytes: int = 32 << 20,
        max_series: int = 500_000,
        max_cells: int = 50_000_000,
    ) -> None:
        """Open or create the store.

        Args:
            path: The directory; made when missing.
            retention_seconds: Samples older than this go, in whole blocks.
            retention_bytes: The oldest blocks go while the file is larger.
            now: The clock, in epoch seconds.
            memory_bytes: What rows not yet in blocks may take; beyond it the oldest
                are dropped and counted.
            cache_bytes: What unpacked blocks may take.
            max_series: Series beyond this are refused and counted.
            max_cells: Series times scrapes that one select may return.
        """
        self._now = now
        self._path = path
        self._appends = 0
        self._closed = False
        self._memory = StoreMemory(memory_bytes, max_series)
        self._lock = DirectoryLock(path)
        try:
            self._database = Database(path / "samples.db")
            self._writer = Writer(self._memory, self._database)
        except BaseException:
            self._lock.close()
            raise
        self._cache = Cache(self._database, cache_bytes, self._memory.counts)
        self._reading = BlockSource(self._cache, 0, max_cells, self._note_damage)
        self._upkeep = Upkeep(
            self._writer,
            self._reading,
            round(retention_seconds * 1000),
            retention_bytes,
        )
        if self.ahead > _AHEAD_AT_START_SECONDS:
            self._forget(round(now() * 1000))

    @property
    def ahead(self) -> float:
        """Seconds for which new samples are refused, since the clock was set back."""
        with self._memory.lock:
            index = self._memory.index
            # Exposed timestamps may lie in the future; those of `up` are our clock's.
            up = index.match([Matcher("__name__", "=", "up")]).ids
            last = index.last[up] if len(up) else index.last
            ahead = float(last.max()) / 1000 - self._now()
        return ahead if ahead > _AHEAD_SECONDS else 0.0

    @property
    def warnings(self) -> list[str]:
        """What went wrong and was survived, newest last: moved files, lost blocks."""
        with self._memory.lock:
            texts = list(self._memory.warnings)
        ahead = self.ahead
        if ahead:
            texts.append(
                f"the newest sample is {span(ahead)} ahead of the clock, which was "
                "set back or was wrong: new samples are refused until the clock "
                "catches up"
            )
        return texts

    def append(
        self,
        target: str,
        timestamp_ms: int,
        labels: Sequence[Labels],
        values: Floats | Sequence[float],
    ) -> AppendResult:
        """Take one row of one target; snapshots see it at once.

        A sample that is not newer than the newest of its series is refused and counted:
        as a duplicate when it has the same time, else as out of order. The stale marker
        ends a series. If the disk fails, rows wait in memory.

        Args:
            target: Who was scraped, or the pseudo-target of a rule group.
            timestamp_ms: The time of all the samples.
            labels: One per sample. The same list as last time costs the least.
            values: One per sample.

        Raises:
            StoreError: The store is closed.
            ValueError: There are more labels than values, or fewer.
        """
        row = np.ascontiguousarray(values, np.float64)
        if row.shape != (len(labels),):
            raise ValueError(f"{len(labels)} label sets for values {row.shape}")
        with self._memory.lock:
            if self._closed:
                raise StoreError("the store is closed")
            done = self._memory.append(target, timestamp_ms, labels, row)
            self._appends += 1
            if self._appends % _SHED_EVERY == 0:
                self._memory.shed()
        return done

    def snapshot(self) -> Snapshot:
        """Return an immutable view of everything appended so far."""
        with self._memory.lock:
            return Snapshot(self._memory, self._reading)

    def flush(self) -> None:
        """Return when everything appended so far is in the file.

        Raises:
            StoreError: The disk refuses; the rows stay in memory and are tried again.
        """
        self._ask(self._writer.tick)

    def maintain(self) -> None:
        """Cut and merge blocks, enforce retention, give space back; for a timer.

        Raises:
            StoreError: The disk refuses; nothing is lost, the next call tries again.
        """
        now_ms = round(self._now() * 1000)
        self._ask(lambda: self._upkeep.run(now_ms))

    def _ask(self, job: Callable[[], None]) -> None:
        if self._closed:
            raise StoreError("the store is closed")
        self._writer.submit(job).result()

    def moved(self, seconds: float) -> None:
        """Note that the clock was set: samples dated in the future are dropped.

        Done by the writer, soon; while it waits, new samples are refused.
        """
        if seconds < 0:
            self._forget(round(self._now() * 1000) - forgotten_ms(-seconds * 1000))

    def _forget(self, after_ms: int) -> None:
        message = (
            "the clock was set back: samples with times ahead of it are deleted, so "
            "that new samples are accepted"
        )
        with self._memory.lock:
            self._memory.note(message)
        _LOG.warning("%s", message)
        self._writer.submit(lambda: self._upkeep.forget(after_ms))

    def stats(self) -> dict[str, float]:
        """Return counts and sizes by name; ``watchroom_store_`` belongs before each."""
        memory = self._memory
        with memory.lock:
            counts, blocks = memory.counts, memory.blocks
            values: dict[str, float] = {
                "series": len(memory.index),
                "targets": len(memory.heads),
                "head_bytes": sum(
                    chunk.nbytes
                    for head in memory.heads.values()
                    for chunk in head.chunks
                ),
                "unsaved_rows": sum(
                    max(chunk.rows - len(chunk.journal), 0)
                    for head in memory.heads.values()
                    for chunk in head.chunks
                ),
                "snapshots": len(memory.snapshots),
            }
        values |= {
            "samples_dropped_total": counts.samples_shed
            + counts.samples_over_series_limit,
            **{f"{k}_total": count for k, count in dataclasses.asdict(counts).items()},
            "write_failing": float(bool(self._writer.failing)),
            "blocks": sum(1 for _ in blocks),
            "block_bytes": sum(block.bytes for block in blocks),
            "cache_bytes": self._cache.nbytes,
            "bytes": self._file_bytes(),
        }
        return {name: float(value) for name, value in values.items()}

    def _file_bytes(self) -> int:
        total = 0
        for suffix in ("", "-wal", "-shm"):
            try:
                total += self._path.joinpath(f"samples.db{suffix}").stat().st_size
            except OSError:
                continue
        return total

    def _note_damage(self, generation: int, ref: BlockRef, error: CorruptError) -> None:
        """Count and name a damaged block, once."""
        memory = self._memory
        with memory.lock:
            if generation != memory.generation or ref.id in memory.bad:
                return
            memory.bad.add(ref.id)
            memory.counts.corrupt_blocks += 1
            sentence = (
                f"block {ref.id} ({ref.layout.metric}, {ref.times.first_ms} to "
                f"{ref.times.last_ms} ms) is damaged and skipped: {error}"
            )
            memory.note(sentence)
        _LOG.error("%s", sentence)

    def close(self) -> None:
        """Write what can be written, then give file and directory up."""
        with self._memory.lock:
            if self._closed:
                return
            self._closed = True
        self._writer.stop()
        self._database.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
