"""rate, increase, delta, irate, idelta: change over a window, extrapolated or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from watchroom.promql.model import Floats, Mask
    from watchroom.promql.windows import Windows


def _add_resets(windows: Windows, change: Floats) -> None:
    """Add to `change` (S, M), in place, what counters held before each fall.

    Falls are few, so the loop visits the columns that have one; each window gets
    exactly its own falls, in order, and never a difference of long running sums.
    """
    values = windows.values
    low, high = int(windows.left.min()), int(windows.right.max())
    if high - low < 2:
        return
    falls = values[:, low + 1 : high] < values[:, low : high - 1]
    columns = np.flatnonzero(falls.any(axis=0))
    shared = windows.left.shape[0] == 1
    for column in columns.tolist():
        windows.budget.check()
        rows = np.flatnonzero(falls[:, column])
        later = low + column + 1
        before = values[rows, later - 1]
        if shared:
            hit = np.flatnonzero((windows.left[0] < later) & (windows.right[0] > later))
            if len(hit):
                change[np.ix_(rows, hit)] += before[:, None]
        else:
            inside = (windows.left[rows] < later) & (windows.right[rows] > later)
            change[rows] += np.where(inside, before[:, None], 0.0)


def _reach(gap: Floats, average: Floats) -> Floats:
    """Return how far (s) a slope is carried over a gap at a window's edge."""
    return np.where(gap >= average * 1.1, average / 2, gap)


def reach_back(gap: Floats, average: Floats, to_zero: Floats | float) -> Floats:
    """Return how far (s) a slope is carried to before the first sample of a window.

    Args:
        gap: From the window's left edge to its first sample, in seconds.
        average: Distance of samples, in seconds.
        to_zero: How long ago a counter of this slope was zero, in seconds.
    """
    return np.minimum(_reach(gap, average), to_zero)


def extrapolated(
    windows: Windows, *, counter: bool, per_second: bool
) -> tuple[Floats, Mask]:
    """Return the change over each window, extrapolated to its edges as Prometheus does.

    To an edge that is closer than 1.1 average sample distances the slope is carried
    all the way, else by half such a distance; a counter never below zero.
    """
    counts = windows.counts
    valid = np.broadcast_to(counts >= 2, windows.shape)
    first = windows.values_at(windows.left)
    change = windows.values_at(windows.right - 1) - first
    if counter and change.size:
        _add_resets(windows, change)
    began, ended = windows.times_at(windows.left), windows.times_at(windows.right - 1)
    to_start = (began - (windows.ends - windows.range_ms)) / 1000
    to_end = (windows.ends - ended) / 1000
    sampled = (ended - began) / 1000
    average = sampled / (counts - 1)
    to_zero: Floats | float = np.inf
    if counter:
        rising = (change > 0) & (first >= 0)
        to_zero = np.where(rising, sampled * (first / change), np.inf)
    before = reach_back(to_start, average, to_zero)
    factor = (sampled + before + _reach(to_end, average)) / sampled
    if per_second:
        factor = factor / (windows.range_ms / 1000)
    return change * factor, valid


def between_last_two(windows: Windows, *, per_second: bool) -> tuple[Floats, Mask]:
    """Return the change from the last but one to the last sample of each window."""
    valid = np.broadcast_to(windows.counts >= 2, windows.shape)
    last = windows.values_at(windows.right - 1)
    before = windows.values_at(windows.right - 2)
    change = last - before
    if not per_second:
        return change, valid
    change = np.where(last < before, last, change)
    elapsed = windows.times_at(windows.right - 1) - windows.times_at(windows.right - 2)
    return change / (elapsed / 1000), valid
