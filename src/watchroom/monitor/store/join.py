"""Parts of a family made one: over time, over restarts, over targets."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchroom.promql.model import ABSENT, VALUE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from watchroom.promql.model import Floats, States, Times


class Cells(NamedTuple):
    """The cells of a part: values and states (S, T); None: values everywhere."""

    values: Floats
    states: States | None


class Part(NamedTuple):
    """Some series over some time, not read yet.

    Attributes:
        series: Ids, ascending (S).
        times: Ascending milliseconds (T).
        read: Returns the cells; None when they are lost. Given a matrix of the same
            shape it may fill that one: a day of buckets is copied once less.
    """

    series: NDArray[np.int64]
    times: Times
    read: Callable[[Floats | None], Cells | None]


class JoinedSeries(NamedTuple):
    """Series that share their timestamps, in memory."""

    series: NDArray[np.int64]
    times: Times
    values: Floats
    states: States | None


def join(parts: Sequence[Part], columns: Times | None = None) -> JoinedSeries:
    """Return the union of `parts`; what no part holds is absent.

    `columns`, when given, are the times of the answer: all of the parts' and more.

    Parts of one series never hold two samples of one moment: the store refuses the
    second when it is appended.
    """
    ordered = sorted(parts, key=lambda part: int(part.times[0]))
    first = ordered[0].series
    same_series = all(
        part.series is first or np.array_equal(part.series, first) for part in ordered
    )
    series = (
        first if same_series else np.unique(np.concatenate([p.series for p in ordered]))
    )
    disjoint = all(
        before.times[-1] < after.times[0] for before, after in pairwise(ordered)
    )
    times = np.concatenate([part.times for part in ordered])
    if not disjoint:
        times = np.unique(times)
    if columns is not None and len(columns) != len(times):
        times, disjoint = columns, False
    union = _Union(series, times, full=same_series and disjoint)
    for part in ordered:
        union.put(part, same_series=same_series, disjoint=disjoint)
    return JoinedSeries(series, times, union.values, union.states)


class _Union:
    """The cells being filled; states only once something is not a value."""

    def __init__(self, series: NDArray[np.int64], times: Times, *, full: bool) -> None:
        self._series, self._times = series, times
        shape = (len(series), len(times))
        self.values: Floats = np.empty(shape) if full else np.zeros(shape)
        self.states: States | None = None
        if not full:
            self.states = np.full(shape, ABSENT, np.uint8)

    def put(self, part: Part, *, same_series: bool, disjoint: bool) -> None:
        if same_series and disjoint:
            low = int(np.searchsorted(self._times, part.times[0]))
            self._fill(slice(low, low + len(part.times)), part)
            return
        cells = part.read(None)
        if cells is None:
            return
        rows = np.searchsorted(self._series, part.series)
        columns = np.searchsorted(self._times, part.times)
        where = np.ix_(rows, columns)
        states = self.states
        if states is None:  # never so when a part can leave cells open
            return
        if cells.states is None:
            self.values[where], states[where] = cells.values, VALUE
            return
        # Another part may hold what this one does not.
        present = cells.states != ABSENT
        self.values[where] = np.where(present, cells.values, self.values[where])
        states[where] = np.where(present, cells.states, states[where])

    def _fill(self, columns: slice, part: Part) -> None:
        """Put cells that cover every row and touch no other part."""
        target = self.values[:, columns]
        cells = part.read(target)
        if cells is None:
            self.values[:, columns] = 0.0
            self._states()[:, columns] = ABSENT
            return
        if cells.values is not target:
            target[:] = cells.values
        if cells.states is not None:
            self._states()[:, columns] = cells.states

    def _states(self) -> States:
        if self.states is None:
            self.states = np.zeros(self.values.shape, np.uint8)
        return self.states
