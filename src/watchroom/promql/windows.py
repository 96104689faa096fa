"""Windows over series that share timestamps: slices of one matrix, by their edges."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from watchroom.promql.frame import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from watchroom.promql.budget import Budget
    from watchroom.promql.model import Floats, Labels, Mask, Times

    Index = NDArray[np.int64]

T = TypeVar("T", bound=np.generic)


# Gathered windows hold at most this many values at a time (8 MiB).
_GATHERED = 2**20


class WindowSamples(NamedTuple):
    """The samples of the windows of some series, side by side on the last axis.

    Attributes:
        rows: Which series.
        columns: Which windows.
        values: (R, M, K), K the length of the longest window.
        valid: (R, M, K), which of them belong to the window.
        times: Their times in ms, (1, M, K) or (R, M, K).
    """

    rows: slice
    columns: slice
    values: Floats
    valid: Mask
    times: Times


class Windows(NamedTuple):
    """The samples of S series in M windows.

    Attributes:
        labels: One per series (S).
        times: (1, T) when the series share them, else (S, T).
        values: (S, T); a window is ``values[s, left:right]``.
        left: First index of each window, (1, M) or (S, M).
        right: Index after the last, like `left`.
        ends: The right edge of each window in milliseconds (M,).
        range_ms: How long a window is; its left edge is outside.
        nameless: As in `Frame`.
        budget: What is left to spend.
    """

    labels: list[Labels]
    times: Times
    values: Floats
    left: Index
    right: Index
    ends: Times
    range_ms: int
    nameless: Mask
    budget: Budget

    @property
    def shape(self) -> tuple[int, int]:
        """Series and windows: (S, M)."""
        return len(self.labels), len(self.ends)

    @property
    def counts(self) -> Index:
        """How many samples each window has, (1, M) or (S, M)."""
        return self.right - self.left

    def values_at(self, index: Index) -> Floats:
        """Return the values at `index` ((1, M) or (S, M)), clipped, as (S, M)."""
        return _gather(self.values, index, self.shape[0])

    def times_at(self, index: Index) -> Times:
        """Return the times at `index`, in the shape of the windows' edges."""
        return _gather(self.times, index, 1)

    def gather(self) -> Iterator[WindowSamples]:
        """Yield all windows as matrices, in portions.

        Of whole series while one fits, else of windows: month-long windows at 11,000
        steps would be 46 GB at once.
        """
        counts = self.counts
        longest = max(1, int(counts.max()) if counts.size else 1)
        series, windows = self.shape
        high = max(1, _GATHERED // (longest * max(1, windows)))
        wide = max(1, min(windows, _GATHERED // longest))
        offsets = np.arange(longest)
        shared = self.left.shape[0] == 1
        for start, first in itertools.product(
            range(0, series, high), range(0, windows, wide)
        ):
            self.budget.check()
            part, columns = slice(start, start + high), slice(first, first + wide)
            edges = slice(0, 1) if shared else part
            index = self.left[edges, columns][..., None] + offsets
            valid = index < self.right[edges, columns][..., None]
            flat = index.reshape(index.shape[0], -1)
            rows = self.values[part]
            shape = (len(rows), *index.shape[1:])
            values = _gather(rows, flat, len(rows)).reshape(shape)
            times = self.times if self.times.shape[0] == 1 else self.times[part]
            yield WindowSamples(
                part,
                columns,
                values,
                np.broadcast_to(valid, shape),
                _gather(times, flat, 1).reshape(-1, *index.shape[1:]),
            )

    def frame(self, values: Floats, valid: Mask, steps: int) -> Frame:
        """Return a frame of `values` (S, M) where `valid`; one window serves all."""
        shape = (len(self.labels), steps)
        return Frame(
            list(self.labels),
            np.broadcast_to(values, shape),
            np.broadcast_to(valid, shape),
            self.nameless,
        )


def _gather(matrix: NDArray[T], index: Index, rows: int) -> NDArray[T]:
    if not matrix.shape[1]:
        shape = (max(rows, index.shape[0]), index.shape[1])
        return np.zeros(shape, matrix.dtype)
    index = np.clip(index, 0, matrix.shape[1] - 1)
    if index.shape[0] == 1:
        shared: NDArray[T] = matrix[:, index[0]]
        return shared
    if matrix.shape[0] == 1:
        row: NDArray[T] = matrix[0][index]
        return row
    return np.take_along_axis(matrix, index, axis=1)
