"""An immutable view over the newest rows and the blocks: what queries read."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchroom.errors import QueryLimitError
from watchroom.monitor.store.codec import CorruptError
from watchroom.monitor.store.join import Cells, JoinedSeries, Part, join
from watchroom.promql.model import ABSENT, SeriesGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from watchroom.monitor.store.blocks import BlockRef, Blocks
    from watchroom.monitor.store.cache import Cache
    from watchroom.monitor.store.head import ChunkView
    from watchroom.monitor.store.index import Index, MatchedSeries
    from watchroom.monitor.store.memory import StoreMemory
    from watchroom.promql.model import Floats, Mask, Matcher, Reserve, Times

    Ids = NDArray[np.int64]


class BlockSource(NamedTuple):
    """What a snapshot needs to read blocks.

    Attributes:
        generation: Which file ids belong to, set when the snapshot is taken.
        max_cells: Series times scrapes that one select may return.
        on_damage: Called for a damaged block: the generation, which one, and why.
    """

    cache: Cache
    generation: int
    max_cells: int
    on_damage: Callable[[int, BlockRef, CorruptError], None]

    def cells(
        self, ref: BlockRef, rows: Ids, low: int, high: int, out: Floats | None
    ) -> Cells:
        """Return columns ``low:high`` of rows of a block, in `out` where it is given.

        Raises:
            CorruptError: They are lost, which has been counted and named.
        """
        try:
            block = self.cache.block(self.generation, ref.id)
            if block.rows != len(ref.layout.series):
                raise CorruptError("it has other rows than its layout")  # noqa: TRY301
            if block.columns != ref.times.columns:
                raise CorruptError("it has other columns than its times")  # noqa: TRY301
            return Cells(
                block.values(rows, low, high, out), block.states(rows, low, high)
            )
        except CorruptError as error:
            self.on_damage(self.generation, ref, error)
            raise


class Snapshot:
    """A `Queryable` of the store as it was; later samples do not show in it."""

    def __init__(self, memory: StoreMemory, reading: BlockSource) -> None:
        """Take references; the caller holds the memory's lock."""
        self.epoch = memory.epoch
        self._memory = memory
        self._index: Index = memory.index
        self._blocks: Blocks = memory.blocks
        self._heads: dict[int, tuple[ChunkView, ...]] = {
            head.target: tuple(chunk.view() for chunk in head.chunks if chunk.rows)
            for head in memory.heads.values()
            if head.chunks
        }
        self._reading = reading._replace(generation=memory.generation)
        memory.counts.snapshots += 1
        memory.snapshots.add(self)

    def select(
        self,
        matchers: Sequence[Matcher],
        start_ms: int,
        end_ms: int,
        reserve: Reserve | None = None,
    ) -> Sequence[SeriesGroup]:
        """Return the matching series with their samples in ``start_ms < t <= end_ms``.

        One group per metric and target, series by age; a series that two targets gave
        is there once, in a group of its own.

        Raises:
            QueryLimitError: More cells than the store or `reserve` allow would be
                read.
            StoreError: The disk cannot be read now.
        """
        with self._memory.lock:
            matched = self._index.match(matchers)
            size = self._index.next_id
        if not len(matched.ids):
            return []
        chosen = np.zeros(size, np.bool_)
        chosen[matched.ids] = True
        families = list(self._families(matched, chosen, start_ms, end_ms))
        self._limit(families, reserve)
        return [
            group for parts in _apart(families) for group in self._groups(join(parts))
        ]

    def _families(
        self, matched: MatchedSeries, chosen: Mask, start_ms: int, end_ms: int
    ) -> Iterator[list[Part]]:
        """Yield the parts of each metric and target."""
        rows: dict[int, Ids] = {}
        for metric in sorted(matched.names):
            blocks = self._blocks.of(metric)
            for target in sorted({*blocks, *self._heads}):
                parts = []
                for ref in blocks.get(target, ()):
                    if ref.times.last_ms <= start_ms or ref.times.first_ms > end_ms:
                        continue
                    if ref.layout.id not in rows:
                        rows[ref.layout.id] = np.flatnonzero(chosen[ref.layout.series])
                    part = self._stored(ref, rows[ref.layout.id], start_ms, end_ms)
                    if part is not None:
                        parts.append(part)
                for view in self._heads.get(target, ()):
                    part = _recent(view, metric, chosen, (start_ms, end_ms))
                    if part is not None:
                        parts.append(part)
                if parts:
                    yield parts

    def _stored(
        self, ref: BlockRef, rows: Ids, start_ms: int, end_ms: int
    ) -> Part | None:
        reading = self._reading
        if not len(rows) or ref.id in self._memory.bad:
            return None
        try:
            times = reading.cache.times(reading.generation, ref.times.id)
        except CorruptError as error:
            reading.on_damage(reading.generation, ref, error)
            return None
        low, high = _span(times, start_ms, end_ms)
        if low == high:
            return None
        read = partial(self._decode, ref, rows, low, high)
        return Part(ref.layout.series[rows], times[low:high], read)

    def _decode(
        self, ref: BlockRef, rows: Ids, low: int, high: int, out: Floats | None
    ) -> Cells | None:
        try:
            cells = self._reading.cells(ref, rows, low, high, out)
        except CorruptError:
            return None
        self._reading.cache.decoded(len(rows))
        return cells

    def _limit(
        self, families: Sequence[Sequence[Part]], reserve: Reserve | None
    ) -> None:
        cells = sum(
            len(part.series) * len(part.times) for parts in families for part in parts
        )
        if cells > self._reading.max_cells:
            raise QueryLimitError(
                f"the selector covers {cells} samples, more than "
                f"{self._reading.max_cells}: name fewer series or a shorter range"
            )
        if reserve is not None:
            reserve(cells)

    def _groups(self, joined: JoinedSeries) -> Iterator[SeriesGroup]:
        series, states = joined.series, joined.states
        values = joined.values
        if states is not None:
            if not states.any():
                states = None
            else:
                present = (states != ABSENT).any(axis=1)
                if not present.all():
                    series, values = series[present], values[present]
                    states = states[present]
        if len(series):
            labels = tuple(
                self._index.labels[series_id] for series_id in series.tolist()
            )
            yield SeriesGroup(labels, joined.times, values, states)


def _span(times: Times, start_ms: int, end_ms: int) -> tuple[int, int]:
    low, high = np.searchsorted(times, [start_ms, end_ms], side="right")
    return int(low), int(high)


def _recent(
    view: ChunkView, metric: str, chosen: Mask, span: tuple[int, int]
) -> Part | None:
    """Return what the newest rows hold of a metric."""
    columns = view.shape.families.get(metric)
    if columns is None:
        return None
    columns = columns[chosen[view.shape.series[columns]]]
    low, high = _span(view.times, *span)
    if low == high or not len(columns):
        return None
    series = view.shape.series[columns]
    order = np.argsort(series)
    columns = columns[order]

    def read(_out: Floats | None) -> Cells:
        states = None
        if view.states is not None:
            states = view.states[low:high, columns].T
            if not states.any():
                states = None
        return Cells(view.values[low:high, columns].T, states)

    return Part(series[order], view.times[low:high], read)


def _apart(families: Sequence[list[Part]]) -> Sequence[list[Part]]:
    """Return `families` so that each series is in exactly one of them."""
    if len(families) < 2:
        return families
    members = [np.unique(np.concatenate([p.series for p in f])) for f in families]
    series, times = np.unique(np.concatenate(members), return_counts=True)
    shared = series[times > 1]
    if not len(shared):
        return families
    # Rare: a rule moved to another group, or two jobs that honour labels.
    lone: list[list[Part]] = []
    both: list[Part] = []
    for parts in families:
        unshared: list[Part] = []
        for part in parts:
            twice = np.isin(part.series, shared)
            unshared += _rows_of(part, ~twice)
            both += _rows_of(part, twice)
        if unshared:
            lone.append(unshared)
    return [*lone, both]


def _rows_of(part: Part, mask: Mask) -> list[Part]:
    if not mask.any():
        return []
    if mask.all():
        return [part]

    def read(_out: Floats | None) -> Cells | None:
        cells = part.read(None)
        if cells is None:
            return None
        states = None if cells.states is None else cells.states[mask]
        return Cells(cells.values[mask], states)

    return [Part(part.series[mask], part.times, read)]
