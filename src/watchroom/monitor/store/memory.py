"""What the store knows without its file: series, newest rows, blocks, counts.

One lock guards it. Appends hold it for the copy of one row, snapshots for a handful of
references, the writer for the moment in which rows become blocks.
"""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from watchroom.monitor.store.blocks import Blocks, Layout
from watchroom.monitor.store.head import PART_MS, Chunk, Head
from watchroom.monitor.store.index import Index
from watchroom.promql.model import ABSENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from watchroom.promql.model import Floats, Labels


class AppendResult(NamedTuple):
    """What became of the samples of one row."""

    accepted: int
    out_of_order: int
    duplicate: int


class MemoryView(Protocol):
    """A snapshot, as far as the memory cares."""

    epoch: int


@dataclass
class StoreCounts:
    """Everything that is counted since the store was opened."""

    samples_appended: int = 0
    samples_out_of_order: int = 0
    samples_duplicate: int = 0
    samples_over_series_limit: int = 0
    samples_shed: int = 0
    """Dropped from memory because the disk took none for too long."""
    expired_blocks: int = 0
    corrupt_blocks: int = 0
    corrupt_rows: int = 0
    write_failures: int = 0
    blocks_fetched: int = 0
    rows_decoded: int = 0
    snapshots: int = 0


@dataclass
class StoreMemory:
    """The shared state; every field but the counts is read and changed under `lock`.

    Attributes:
        epoch: Raised when blocks leave `blocks`; a snapshot of an older epoch may
            still read them.
        generation: Raised when the file is replaced: its ids mean nothing then.
        bad: Ids of blocks found damaged; they are not asked for again.
        warnings: What went wrong and was survived, in sentences.
    """

    memory_bytes: int
    max_series: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    index: Index = field(default_factory=Index)
    heads: dict[str, Head] = field(default_factory=dict)
    unsaved_targets: list[str] = field(default_factory=list)
    blocks: Blocks = field(default_factory=Blocks)
    layouts: dict[tuple[str, bytes], Layout] = field(default_factory=dict)
    bad: set[int] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    counts: StoreCounts = field(default_factory=StoreCounts)
    epoch: int = 0
    generation: int = 0
    snapshots: weakref.WeakSet[MemoryView] = field(default_factory=weakref.WeakSet)

    def head(self, target: str) -> Head:
        """Return the head of a target, a new one when it is new."""
        existing = self.heads.get(target)
        if existing is None:
            newest = max((head.target for head in self.heads.values()), default=0)
            existing = self.heads[target] = Head(newest + 1)
            self.unsaved_targets.append(target)
        return existing

    def append(
        self, target: str, at_ms: int, labels: Sequence[Labels], values: Floats
    ) -> AppendResult:
        """Take one row; see `Store.append`."""
        head = self.head(target)
        label_list = labels if type(labels) is list else list(labels)
        # Unchanged labels are the same objects: the comparison is one of pointers.
        if label_list == head.labels:
            series = head.series
        else:
            series = np.array(
                [self._intern(target, series_labels) for series_labels in label_list],
                np.int64,
            )
            head.remember(label_list, series)
        positions, done = self._refuse(at_ms, series, plain=head.plain)
        if positions is not None:
            series, values = series[positions], values[positions]
        if done.accepted:
            chunk = head.chunk_for(at_ms)
            chunk.append(at_ms, series, values, self.index.names)
            self.index.last[series] = at_ms
        return done

    def _intern(self, target: str, labels: Labels) -> int:
        series_id = self.index.find(labels)
        if series_id is not None:
            return series_id
        # A runaway target must not use up the room of the series that report it.
        own = target.startswith("rules/") or ("__name__", "up") in labels
        limit = self.max_series + (self.max_series // 10 if own else 0)
        return self.index.intern(labels) if len(self.index) < limit else 0

    def _refuse(
        self, at_ms: int, series: NDArray[np.int64], *, plain: bool
    ) -> tuple[NDArray[np.int64] | None, AppendResult]:
        """Return the places to take (None: all) and count the rest."""
        last = self.index.last[series]
        newer = last < at_ms
        counts, total = self.counts, len(series)
        if plain and newer.all():
            counts.samples_appended += total
            return None, AppendResult(total, 0, 0)
        known = series > 0
        once = np.zeros(total, np.bool_)
        once[np.unique(series, return_index=True)[1]] = True
        positions = np.flatnonzero(newer & known & once)
        late = int((known & (last > at_ms)).sum())
        refused = total - int(known.sum())
        done = AppendResult(
            len(positions), late, total - len(positions) - late - refused
        )
        counts.samples_over_series_limit += refused
        counts.samples_appended += done.accepted
        counts.samples_out_of_order += done.out_of_order
        counts.samples_duplicate += done.duplicate
        return positions, done

    def shed(self) -> None:
        """Keep the head within its bound: close early, and drop what cannot be saved.

        A disk that takes nothing for hours costs the oldest samples, never the newest
        ones: rules keep seeing the present.
        """
        chunks = [
            (chunk, head) for head in self.heads.values() for chunk in head.chunks
        ]
        used = sum(chunk.nbytes for chunk, _ in chunks)
        if used > self.memory_bytes // 2 and chunks:
            max(
                (chunk for chunk, _ in chunks), key=lambda other: other.nbytes
            ).closed = True
        chunks.sort(key=lambda pair: pair[0].part)
        while used > self.memory_bytes and chunks:
            chunk, head = chunks.pop(0)
            head.chunks = tuple(other for other in head.chunks if other is not chunk)
            self.counts.samples_shed += chunk.samples
            used -= chunk.nbytes

    def forget(self, after_ms: int) -> list[int]:
        """Drop the rows after a time; return the ids of their write-ahead rows."""
        rows: list[int] = []
        for head in self.heads.values():
            remaining = []
            for chunk in head.chunks:
                if chunk.last_ms <= after_ms or chunk.end_at(after_ms):
                    remaining.append(chunk)
                else:
                    rows += chunk.journal
            head.chunks = tuple(remaining)
        np.minimum(self.index.last, after_ms, out=self.index.last)
        return rows

    def close_old(self, now_ms: int) -> None:
        """Close the chunks whose half hour ended two minutes ago."""
        for head in self.heads.values():
            for chunk in head.chunks:
                if (chunk.part + 1) * PART_MS + 120_000 <= now_ms:
                    chunk.closed = True

    def note(self, sentence: str) -> None:
        """Keep a warning; the last hundred."""
        self.warnings.append(sentence)
        del self.warnings[:-100]


def live_ids(chunk: Chunk) -> NDArray[np.int64]:
    """Return the series of a chunk that have a sample in it."""
    view = chunk.view()
    if view.states is None:
        return view.shape.series
    live: NDArray[np.int64] = view.shape.series[(view.states != ABSENT).any(axis=0)]
    return live
