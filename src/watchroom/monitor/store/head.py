"""The newest rows in memory, per target, as matrices that snapshots share.

A cell once written is never written again: a snapshot takes the arrays and the number
of rows, and needs no copy. Growth makes new arrays and leaves the old ones to the
snapshots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchroom.monitor.store.journal import WHOLE_EVERY, JournalRow
from watchroom.promql.model import ABSENT, STALE_CELL, VALUE, is_stale

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from watchroom.promql.model import Floats, Labels, States, Times

PART_MS = 30 * 60_000
"""A chunk lies within one UTC-aligned half hour; four of them are merged later."""

WINDOW_MS = 4 * PART_MS
"""Blocks are cut at UTC-aligned two hours."""


class Shape:
    """The series of a chunk's columns, and each metric's columns."""

    def __init__(self, series: NDArray[np.int64], names: Mapping[int, str]) -> None:
        self.series = series
        by_name: dict[str, list[int]] = {}
        for column, series_id in enumerate(series.tolist()):
            by_name.setdefault(names[series_id], []).append(column)
        self.families = {
            name: np.array(columns, np.int64) for name, columns in by_name.items()
        }


class ChunkView(NamedTuple):
    """A chunk as it was at one moment; rows are scrapes, columns series."""

    shape: Shape
    times: Times
    values: Floats
    states: States | None


_EMPTY = np.zeros(0, np.int64)


class Chunk:
    """Consecutive scrapes of one target within one half hour.

    Attributes:
        journal: The ids of its write-ahead rows; there may be fewer than rows.
        closed: Whether it takes no more rows and may become blocks.
    """

    def __init__(self, part: int) -> None:
        self.part = part
        self.shape = Shape(_EMPTY, {})
        self.rows = 0
        self.closed = False
        self.journal: list[int] = []
        self._column_of: dict[int, int] = {}
        self._last_series: NDArray[np.int64] = _EMPTY
        self._columns: NDArray[np.int64] = _EMPTY
        self._times: Times = np.zeros(0, np.int64)
        self._values: Floats = np.zeros((0, 0))
        self._states: States | None = None
        # Columns there were after each row: what a write-ahead row must name.
        self._widths: list[int] = []

    @property
    def last_ms(self) -> int:
        """The time of the newest row."""
        return int(self._times[self.rows - 1])

    @property
    def nbytes(self) -> int:
        """Bytes held, growth room included."""
        states = 0 if self._states is None else self._states.nbytes
        return self._values.nbytes + self._times.nbytes + states

    @property
    def samples(self) -> int:
        """How many cells are a value or a stale marker."""
        if self._states is None:
            return self.rows * len(self.shape.series)
        cells = self._states[: self.rows, : len(self.shape.series)]
        return int((cells != ABSENT).sum())

    def view(self) -> ChunkView:
        """Return what is here now."""
        rows, width = self.rows, len(self.shape.series)
        states = self._states
        return ChunkView(
            self.shape,
            self._times[:rows],
            self._values[:rows, :width],
            None if states is None else states[:rows, :width],
        )

    def append(
        self,
        at_ms: int,
        series: NDArray[np.int64],
        values: Floats,
        names: Mapping[int, str],
        cells: States | None = None,
    ) -> None:
        """Add one row: `values` of `series`; every other column is absent.

        `cells` are their states; None: a stale marker is stale, all else a value.
        """
        columns = self._find(series, names)
        row, width = self.rows, len(self.shape.series)
        self._reserve(row + 1, width)
        if cells is None:
            stale = is_stale(values)
            if stale.any():
                cells = np.where(stale, STALE_CELL, VALUE).astype(np.uint8)
        target = self._values[row]
        if len(columns) < width and row:
            target[:width] = self._values[row - 1, :width]
        if cells is None:
            target[columns] = values
        else:
            has_value = cells == VALUE
            if row:  # so that the XOR with the row before is zero
                target[:width] = self._values[row - 1, :width]
            target[columns[has_value]] = values[has_value]
        if self._states is None and (cells is not None or len(columns) < width):
            self._states = np.zeros(self._values.shape, np.uint8)
        if self._states is not None:
            self._states[row, :width] = ABSENT
            self._states[row, columns] = VALUE if cells is None else cells
        self._times[row] = at_ms
        self._widths.append(width)
        self.rows = row + 1

    def _find(
        self, series: NDArray[np.int64], names: Mapping[int, str]
    ) -> NDArray[np.int64]:
        """Return the columns of `series`, adding those that have none."""
        if series is self._last_series:
            return self._columns
        column_of = self._column_of
        new = [series_id for series_id in series.tolist() if series_id not in column_of]
        if new:
            before = len(column_of)
            for series_id in new:
                column_of[series_id] = len(column_of)
            self.shape = Shape(
                np.concatenate([self.shape.series, np.array(new, np.int64)]), names
            )
            if self.rows and self._states is None:
                self._states = np.zeros(self._values.shape, np.uint8)
            self._reserve(self.rows + 1, len(column_of))
            if self._states is not None:
                self._states[: self.rows, before : len(column_of)] = ABSENT
        columns = np.array(
            [column_of[series_id] for series_id in series.tolist()], np.int64
        )
        self._last_series, self._columns = series, columns
        return columns

    def _reserve(self, rows: int, width: int) -> None:
        have_rows, have_width = self._values.shape
        if rows <= have_rows and width <= have_width:
            return
        rows = have_rows if rows <= have_rows else max(rows, 16, have_rows * 2)
        if width <= have_width:
            width = have_width
        elif self.rows:  # one newcomer is seldom the last
            width += width // 8
        used, old = self.rows, have_width
        values = np.zeros((rows, width))
        values[:used, :old] = self._values[:used]
        times = np.zeros(rows, np.int64)
        times[:used] = self._times[:used]
        if self._states is not None:
            states = np.zeros((rows, width), np.uint8)
            states[:used, :old] = self._states[:used]
            self._states = states
        self._values, self._times = values, times

    def end_at(self, at_ms: int) -> int:
        """Leave out rows after `at_ms` and take no more; return how many are left.

        The cells stay: a snapshot may hold them. So do the ids of write-ahead rows.
        """
        self.rows = int(np.searchsorted(self._times[: self.rows], at_ms, "right"))
        self.closed = True
        return self.rows

    def unsaved(self) -> list[tuple[JournalRow, Floats]]:
        """Return the rows without a write-ahead row, each with the values before."""
        view, done, rows = self.view(), len(self.journal), []
        for row in range(done, len(view.times)):
            width = self._widths[row]
            whole = row % WHOLE_EVERY == 0
            before = 0 if row == 0 else self._widths[row - 1]
            states = None if view.states is None else view.states[row, :width]
            if states is not None and not states.any():
                states = None
            record = JournalRow(
                int(view.times[row]),
                row == 0,
                whole,
                view.shape.series[0 if whole else before : width],
                np.ascontiguousarray(view.values[row, :width]),
                states,
            )
            rows.append((record, view.values[max(row - 1, 0), :before]))
        return rows


class Head:
    """One target's chunks, and the series its last row named.

    Attributes:
        target: Its id in the database.
        chunks: Oldest first; replaced, never changed, so that a snapshot may keep it.
        plain: Whether those series are all known and all different.
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.chunks: tuple[Chunk, ...] = ()
        self.labels: list[Labels] = []
        self.series: NDArray[np.int64] = _EMPTY
        self.plain = True

    def chunk_for(self, at_ms: int) -> Chunk:
        """Return the chunk that takes a row of `at_ms`, a new one where none can."""
        part = at_ms // PART_MS
        if self.chunks:
            newest = self.chunks[-1]
            if not newest.closed and newest.part == part and newest.last_ms < at_ms:
                return newest
            newest.closed = True
        chunk = Chunk(part)
        self.chunks = (*self.chunks, chunk)
        return chunk

    def remember(self, labels: Sequence[Labels], series: NDArray[np.int64]) -> None:
        """Keep what the last row named; the next one usually names the same."""
        self.labels, self.series = list(labels), series
        distinct = len(np.unique(series)) == len(series)
        self.plain = distinct and bool((series > 0).all())

    def forget(self) -> None:
        """Drop what `remember` kept: ids may be about to lose their meaning."""
        self.labels, self.series, self.plain = [], _EMPTY, True
