"""Samples for selectors: the last one before each step, or the windows before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchroom.promql.frame import Context, Frame, stack
from watchroom.promql.model import ABSENT, STALE_CELL, VALUE, Labels, SeriesGroup
from watchroom.promql.windows import Windows

if TYPE_CHECKING:
    from watchroom.promql.budget import Budget
    from watchroom.promql.model import Floats, Mask, Times
    from watchroom.promql.syntax import At, RangeSelector, Selector


class Cells(NamedTuple):
    """The sample a selector found for each series and step, with its own time (s)."""

    frame: Frame
    times: Floats


def moments(at: At, offset_ms: int, context: Context) -> Times:
    """Return the instants a selector looks at: one per step, or one for all."""
    if at is not None:
        ends = {"start": context.query.start, "end": context.query.end}
        fixed = ends[at] if isinstance(at, str) else at
        return np.array([fixed - offset_ms], np.int64)
    return context.steps.times() - offset_ms


def _parts(
    group: SeriesGroup, start_ms: int, end_ms: int
) -> list[tuple[SeriesGroup, list[int]]]:
    """Return `group` cut to ``(start, end]``: rows without gaps, and those with.

    A series that came or went must not cost its family the way without masks.
    """
    low, high = np.searchsorted(group.timestamps, (start_ms, end_ms), side="right")
    times, values = group.timestamps[low:high], group.values[:, low:high]
    labels = group.labels
    if group.state is None:
        return [(SeriesGroup(labels, times, values), list(range(len(labels))))]
    state = group.state[:, low:high]
    broken = state.any(axis=1)
    if not broken.any():
        return [(SeriesGroup(labels, times, values), list(range(len(labels))))]
    parts = []
    for mask in (~broken, broken):
        rows = np.flatnonzero(mask)
        if len(rows):
            whole = mask is not broken
            part = SeriesGroup(
                [labels[row] for row in rows.tolist()],
                times,
                values[rows],
                None if whole else state[rows],
            )
            parts.append((part, rows.tolist()))
    return parts


def _latest(group: SeriesGroup, at: Times) -> tuple[Mask, Floats, Times]:
    """Return validity, values and times (S, M) of the last sample up to `at` (M,)."""
    index = np.searchsorted(group.timestamps, at, side="right") - 1
    exists = index >= 0
    index = np.maximum(index, 0)
    count = len(group.labels)
    if group.state is None:
        shape = (count, len(at))
        times = np.broadcast_to(group.timestamps[index], shape)
        return np.broadcast_to(exists, shape), group.values[:, index], times
    columns = np.arange(len(group.timestamps))
    last = np.maximum.accumulate(np.where(group.state != ABSENT, columns, -1), axis=1)[
        :, index
    ]
    valid = exists & (last >= 0)
    last = np.maximum(last, 0)
    values = np.take_along_axis(group.values, last, axis=1)
    stale = np.take_along_axis(group.state, last, axis=1) == STALE_CELL
    return valid & ~stale, values, group.timestamps[last]


def instant(selector: Selector, context: Context, *, timed: bool = False) -> Cells:
    """Return the last sample of each series within the lookback of each step.

    Times are there if they are asked for: they take as much as the values.
    """
    at = moments(selector.at, selector.offset_ms, context)
    lookback, count = context.lookback_ms, context.steps.size
    frames: list[Frame] = []
    times: list[Times] = []
    start, end = int(at[0]) - lookback, int(at[-1])
    groups = context.select(selector.matchers, start, end)
    for group in (
        part for selected in groups for part, _ in _parts(selected, start, end)
    ):
        cells = len(group.labels) * len(at)
        context.budget.spend(cells)
        # Masks, and without whole rows the place and time of each cell.
        context.budget.reserve(cells if group.state is None else 3 * cells)
        if not len(group.timestamps):
            continue
        valid, values, when = _latest(group, at)
        valid = valid & (when > at - lookback)
        context.budget.loaded += int(valid.sum())
        shape = (len(group.labels), count)
        frame = Frame(
            list(group.labels),
            np.broadcast_to(values, shape),
            np.broadcast_to(valid, shape),
            np.zeros(len(group.labels), bool),
        )
        rows = np.flatnonzero(valid.any(axis=1))
        frames.append(frame if len(rows) == len(group.labels) else frame.take(rows))
        if timed:
            context.budget.reserve(2 * cells)
            times.append(np.broadcast_to(when, shape)[rows])
    whens = np.concatenate(times) if times else np.empty((0, count), np.int64)
    return Cells(stack(frames, count), whens / 1000)


def windows(node: RangeSelector, context: Context, *, per_step: bool) -> list[Windows]:
    """Return the samples of each series in ``(t - range, t]`` for every step.

    With `per_step` there is a window per step even where ``@`` makes them all the same.
    """
    selector = node.selector
    at = moments(selector.at, selector.offset_ms, context)
    if per_step:
        at = np.broadcast_to(at, (context.steps.size,))
    start, end = int(at[0]) - node.range_ms, int(at[-1])
    groups = context.select(selector.matchers, start, end)
    result: list[Windows] = []
    for group in groups:
        result += from_group(group, at, node.range_ms, context)
    for block in result:
        shared = len(block.labels) if block.left.shape[0] == 1 else 1
        context.budget.loaded += int(block.counts.sum()) * shared
    return result


def from_group(
    group: SeriesGroup,
    at: Times,
    range_ms: int,
    context: Context,
    nameless: Mask | None = None,
) -> list[Windows]:
    """Return the windows of one group that end at `at` (M,)."""
    if nameless is None:
        nameless = np.zeros(len(group.labels), bool)
    result = []
    for part, rows in _parts(group, int(at[0]) - range_ms, int(at[-1])):
        context.budget.spend(part.values.size)
        result.append(_slices(part, at, range_ms, nameless[rows], context.budget))
    return result


def _slices(
    group: SeriesGroup, at: Times, range_ms: int, nameless: Mask, budget: Budget
) -> Windows:
    times = group.timestamps
    left = np.searchsorted(times, at - range_ms, side="right")
    right = np.searchsorted(times, at, side="right")
    labels: list[Labels] = list(group.labels)
    shared = (at, range_ms, nameless, budget)
    if group.state is None:
        left, right = left[None, :], right[None, :]
        return Windows(labels, times[None, :], group.values, left, right, *shared)
    has_value = group.state == VALUE
    # Each row's values move to its left end, so that a window is again a slice.
    order = np.argsort(~has_value, axis=1, kind="stable")
    before = np.zeros((len(labels), len(times) + 1), np.int64)
    np.cumsum(has_value, axis=1, out=before[:, 1:])
    values = np.take_along_axis(group.values, order, axis=1)
    left, right = before[:, left], before[:, right]
    return Windows(labels, times[order], values, left, right, *shared)
