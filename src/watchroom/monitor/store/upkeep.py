"""Upkeep of the file: merge small blocks, expire old ones, give space back."""

from __future__ import annotations

import contextlib
import sqlite3
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from watchroom.monitor.store.codec import CorruptError
from watchroom.monitor.store.head import WINDOW_MS
from watchroom.monitor.store.join import Part, join
from watchroom.monitor.store.memory import live_ids

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from watchroom.monitor.store.blocks import BlockRef, Times
    from watchroom.monitor.store.snapshot import BlockSource
    from watchroom.monitor.store.writer import Writer
    from watchroom.promql.model import Floats, States

# Late scrapes of the last seconds of a window still find it unmerged.
_GRACE_MS = 120_000
_SHRINK_PAGES = 4096
_FREE_PAGES = 64
_FORGET_SHARE = 0.02


class Upkeep:
    """The periodic work of the store; all of it runs in the writer's thread."""

    def __init__(
        self,
        writer: Writer,
        reading: BlockSource,
        retention_ms: int,
        retention_bytes: int,
    ) -> None:
        self._writer = writer
        self._memory = writer.memory
        self._database = writer.database
        self._reading = reading
        self._retention_ms = retention_ms
        self._retention_bytes = retention_bytes

    def run(self, now_ms: int) -> None:
        """Do all of it once."""
        with self._memory.lock:
            self._memory.close_old(now_ms)
        self._writer.tick()
        self._merge(now_ms)
        self._expire(now_ms)
        self._forget()
        self._delete_dead()
        self._give_back()

    def forget(self, after_ms: int) -> None:
        """Drop everything after a time; blocks that reach beyond it are cut there."""
        memory = self._memory
        with memory.lock:
            rows = memory.forget(after_ms)
        across: dict[int, list[BlockRef]] = {}
        for ref in memory.blocks:
            if ref.times.first_ms <= after_ms < ref.times.last_ms:
                across.setdefault(ref.times.id, []).append(ref)
        for refs in across.values():
            times = refs[0].times
            self._merge_one(times.target, [times], refs, until_ms=after_ms)
        refs = [ref for ref in memory.blocks if ref.times.last_ms > after_ms]
        columns = frozenset(ref.times.id for ref in refs)
        self._retire(refs, columns, [])
        with self._database.transaction() as db:
            self._database.delete("journal", rows)
            _bury(db, columns)

    def _merge(self, now_ms: int) -> None:
        """Make one block of the parts of each family and finished window."""
        by_times: dict[int, list[BlockRef]] = {}
        for ref in self._memory.blocks:
            by_times.setdefault(ref.times.id, []).append(ref)
        windows: dict[tuple[int, int], list[Times]] = {}
        for refs in by_times.values():
            times = refs[0].times
            window = times.first_ms // WINDOW_MS
            if (window + 1) * WINDOW_MS + _GRACE_MS <= now_ms:
                windows.setdefault((times.target, window), []).append(times)
        for (target, _), columns in sorted(windows.items()):
            if len(columns) > 1:
                refs = [ref for times in columns for ref in by_times[times.id]]
                self._merge_one(target, columns, refs)
                self._writer.breathe()

    def _merge_one(
        self,
        target: int,
        columns: list[Times],
        refs: list[BlockRef],
        until_ms: int | None = None,
    ) -> None:
        """Make one block of each family, without what is after `until_ms`."""
        if any(ref.id in self._memory.bad for ref in refs):
            return  # a damaged part stays as it is, for a later repair
        generation = self._memory.generation
        reading = self._reading._replace(generation=generation)
        try:
            stamps = {
                times.id: reading.cache.times(generation, times.id) for times in columns
            }
            merged = np.unique(np.concatenate(list(stamps.values())))
            families: dict[str, list[Part]] = {}
            for ref in refs:
                every_row = np.arange(len(ref.layout.series))
                part = Part(
                    ref.layout.series,
                    stamps[ref.times.id],
                    partial(reading.cells, ref, every_row, 0, ref.times.columns),
                )
                families.setdefault(ref.layout.metric, []).append(part)
            rows = [(m, *_merged(parts, merged)) for m, parts in families.items()]
        except CorruptError:
            return  # counted and named where it was found
        if until_ms is not None:
            end = int(np.searchsorted(merged, until_ms, "right"))
            merged = merged[:end]
            rows = [(m, s, *_until(end, v, states)) for m, s, v, states in rows]
        retired = frozenset(times.id for times in columns)
        with self._database.transaction() as db:
            new_refs = self._writer.put(db, target, merged, rows)
            _bury(db, retired)
        self._retire(refs, retired, new_refs)

    def _retire(
        self, refs: list[BlockRef], retired: frozenset[int], new_refs: list[BlockRef]
    ) -> None:
        memory = self._memory
        with memory.lock:
            self._writer.publish(new_refs, retired)
            for times in retired:
                blocks = [ref.id for ref in refs if ref.times.id == times]
                self._writer.dead.append((memory.epoch, times, blocks))

    def _expire(self, now_ms: int) -> None:
        """Retire whole columns that are too old, then the oldest while too large."""
        blocks: dict[int, list[BlockRef]] = {}
        for ref in self._memory.blocks:
            blocks.setdefault(ref.times.id, []).append(ref)
        ordered = sorted(
            blocks.values(), key=lambda refs: (refs[0].times.last_ms, refs[0].id)
        )
        sizes = [refs[0].times.bytes + sum(r.bytes for r in refs) for refs in ordered]
        dead = sum(len(entry[2]) for entry in self._writer.dead)
        excess = 0
        if not dead:  # space about to come back must not expire anything
            excess = self._database.used_bytes() - self._retention_bytes
        oldest = now_ms - self._retention_ms
        expired: list[BlockRef] = []
        for refs, size in zip(ordered, sizes, strict=True):
            if refs[0].times.last_ms >= oldest and excess <= 0:
                break
            expired += refs
            excess -= size
        if not expired:
            return
        columns = frozenset(ref.times.id for ref in expired)
        with self._database.transaction() as db:
            _bury(db, columns)
        self._memory.counts.expired_blocks += len(expired)
        self._retire(expired, columns, [])

    def _forget(self) -> None:
        """Drop layouts, series and targets that nothing refers to any more."""
        memory = self._memory
        in_use = {ref.layout.id for ref in memory.blocks}
        unused = [
            layout for layout in memory.layouts.values() if layout.id not in in_use
        ]
        with memory.lock:
            series = self._unused_series(in_use)
            if series:
                memory.index = memory.index.without(series)
                for head in memory.heads.values():
                    head.forget()
            targets = self._unused_targets()
            for name in targets:
                del memory.heads[name]
            memory.unsaved_targets = [
                name for name in memory.unsaved_targets if name not in targets
            ]
        if not (unused or series or targets):
            return
        with self._database.transaction():
            self._database.delete("layout", [layout.id for layout in unused])
            self._database.delete("series", series)
            self._database.delete("target", targets.values())
        for layout in unused:
            memory.layouts.pop((layout.metric, layout.series.tobytes()), None)

    def _unused_series(self, layouts: set[int]) -> set[int]:
        """Return the series that no block and no row names, if they are many."""
        index = self._memory.index
        live = np.zeros(index.next_id, np.bool_)
        for layout in self._memory.layouts.values():
            if layout.id in layouts:
                live[layout.series] = True
        for head in self._memory.heads.values():
            for chunk in head.chunks:
                live[live_ids(chunk)] = True
        unused = {series_id for series_id in index.labels if not live[series_id]}
        # A rebuild of the index holds up appends: not for a handful.
        return unused if len(unused) >= _FORGET_SHARE * len(index) else set()

    def _unused_targets(self) -> dict[str, int]:
        used = {ref.times.target for ref in self._memory.blocks}
        return {
            name: head.target
            for name, head in self._memory.heads.items()
            if not head.chunks and head.target not in used
        }

    def _delete_dead(self) -> None:
        """Delete what is dead and no snapshot can still read."""
        memory, writer = self._memory, self._writer
        with memory.lock:
            oldest = min(
                (item.epoch for item in memory.snapshots), default=memory.epoch
            )
        ready = [item for item in writer.dead if item[0] <= oldest]
        if not ready:
            return
        for _, times, blocks in ready:
            with self._database.transaction():
                for table in ("body", "block"):
                    self._database.delete(table, blocks)
                for table in ("times", "dead"):
                    self._database.delete(table, [times])
            writer.breathe()
        writer.dead = [item for item in writer.dead if item[0] > oldest]

    def _give_back(self) -> None:
        """Return free pages to the disk and empty the log."""
        (free,) = self._database.db.execute("PRAGMA freelist_count").fetchone()
        if free > _FREE_PAGES:
            self._database.shrink(min(free - _FREE_PAGES, _SHRINK_PAGES))
        with contextlib.suppress(sqlite3.OperationalError):  # a reader is in the way
            self._database.checkpoint()


def _bury(db: sqlite3.Connection, columns: Iterable[int]) -> None:
    db.executemany("INSERT INTO dead VALUES (?)", [(times,) for times in columns])


def _until(
    end: int, values: Floats, states: States | None
) -> tuple[Floats, States | None]:
    """Return the first `end` columns of cells."""
    cut = None if states is None else np.ascontiguousarray(states[:, :end])
    return np.ascontiguousarray(values[:, :end]), cut


def _merged(
    parts: list[Part], times: NDArray[np.int64]
) -> tuple[NDArray[np.int64], Floats, States | None]:
    joined = join(parts, times)
    return joined.series, joined.values, joined.states
