"""histogram_quantile and histogram_fraction over classic buckets."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from watchroom.promql.frame import Frame
from watchroom.promql.model import labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchroom.promql.frame import Context
    from watchroom.promql.model import Floats, Labels, Mask, Times
    from watchroom.promql.notes import Notes

    Kernel: TypeAlias = Callable[
        [Floats, Floats, Sequence[Floats], "KernelContext"], Floats
    ]

# Below this relative difference two neighbouring counts are taken for the same; it is
# Prometheus' own tolerance for what floating point adds to sums of rates.
_SMALL = 1e-12
_SMALLEST_NORMAL = 2.2250738585072014e-308


class KernelContext(NamedTuple):
    """The times (ms) of a kernel's columns (C,), and where it adds annotations."""

    times: Times
    notes: Notes


class _Histogram(NamedTuple):
    labels: Labels
    rows: tuple[int, ...]
    bounds: tuple[float, ...]
    nameless: bool


def _bound(text: str) -> float | None:
    """Return the upper bound that a ``le`` means, parsed as Go does."""
    if text != text.strip() or "_" in text:
        return None
    try:
        bound = float(text)
    except ValueError:
        return None
    return None if np.isnan(bound) else bound


def _histograms(frame: Frame, context: Context) -> list[_Histogram]:
    """Return the rows of `frame` by histogram, each by rising bound."""
    by_labels: dict[Labels, list[tuple[float, int]]] = defaultdict(list)
    for row, labels in enumerate(frame.labels):
        pairs = dict(labels)
        text = pairs.pop("le", "")
        bound = _bound(text)
        if bound is not None:
            by_labels[labels_of(pairs)].append((bound, row))
        elif frame.present[row].any():
            name = pairs.get("__name__", "") if context.delayed_names else ""
            context.notes.bucket(text, name)
    histograms = []
    for labels, members in by_labels.items():
        members.sort()
        rows = tuple(row for _, row in members)
        bounds = tuple(bound for bound, _ in members)
        histograms.append(
            _Histogram(labels, rows, bounds, bool(frame.nameless[rows[0]]))
        )
    return histograms


def _coalesced(bounds: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Return bounds without repetition, the counts of equal ones added."""
    unique, starts = np.unique(bounds, return_index=True)
    if len(unique) == len(bounds):
        return bounds, counts
    return unique, np.add.reduceat(counts, starts, axis=0)


def _nearly_equal(left: Floats, right: Floats) -> Mask:
    total, difference = np.abs(left) + np.abs(right), np.abs(left - right)
    tiny = (left == 0) | (right == 0) | (total < _SMALLEST_NORMAL)
    relative: Mask = difference / np.minimum(total, np.finfo(float).max) < _SMALL
    return np.where(tiny, difference < _SMALL * _SMALLEST_NORMAL, relative)


def _monotonic(counts: Floats) -> Floats:
    """Return `counts` (B, C) without falls and without negligible rises."""
    steady = counts.copy()
    highest = counts[0]
    for row in range(1, len(counts)):
        now = counts[row]
        keep = (now == highest) | _nearly_equal(highest, now) | (now < highest)
        highest = np.where(keep, highest, now)
        steady[row] = highest
    return steady


def quantile_kernel(
    bounds: Floats, counts: Floats, scalars: Sequence[Floats], where: KernelContext
) -> Floats:
    """Return the quantile `scalars[0]` (C,) of cumulative `counts` (B, C).

    Linear within a bucket, from 0 in a lowest bucket that ends above it; the highest
    finite bound when the rank lies in the +Inf bucket; NaN without a +Inf bucket, with
    fewer than two buckets, or without observations.
    """
    (share,) = scalars
    result = np.full(counts.shape[1], np.nan)
    if len(bounds) and np.isposinf(bounds[-1]):
        bounds, counts = _coalesced(bounds, counts)
    if len(bounds) >= 2 and np.isposinf(bounds[-1]):
        steady = _monotonic(counts)
        forced = (counts < steady) & ~_nearly_equal(steady, counts)
        forced &= (share >= 0) & (share <= 1)
        where.notes.falls(bounds, steady - counts, forced, where.times)
        counts = steady
        total = counts[-1]
        rank = share * total
        columns = np.arange(counts.shape[1])
        reached = counts[:-1] >= rank
        bucket = np.where(reached.any(axis=0), reached.argmax(axis=0), len(bounds) - 1)
        below = np.maximum(bucket - 1, 0)
        first = bucket == 0
        start = np.where(first, 0.0, bounds[below])
        before = np.where(first, 0.0, counts[below, columns])
        inside = counts[bucket, columns] - before
        result = start + (bounds[bucket] - start) * ((rank - before) / inside)
        result = np.where(first & (bounds[0] <= 0), bounds[0], result)
        result = np.where(bucket == len(bounds) - 1, bounds[-2], result)
        result = np.where(total == 0, np.nan, result)
    result = np.where(share < 0, -np.inf, np.where(share > 1, np.inf, result))
    known: Floats = np.where(np.isnan(share), np.nan, result)
    return known


def _rank_at(bounds: Floats, counts: Floats, value: Floats) -> Floats:
    """Return how many observations lie below `value` (C,), interpolated."""
    total = counts[-1]
    lowest = 0.0 if bounds[0] > 0 else -np.inf
    rank, located = total.copy(), np.zeros(value.shape, bool)
    for index, upper in enumerate(bounds):
        lower = lowest if index == 0 else bounds[index - 1]
        before = np.zeros_like(total) if index == 0 else counts[index - 1]
        at_edge = ~located & (lower >= value)
        rank = np.where(at_edge, before, rank)
        located |= at_edge
        inside = ~located & (upper > value)
        if np.isneginf(lower):
            estimate = counts[index]
        else:
            estimate = before + (counts[index] - before) * (value - lower) / (
                upper - lower
            )
        rank = np.where(inside, estimate, rank)
        located |= inside
    capped: Floats = np.minimum(rank, total)
    return capped


def fraction_kernel(
    bounds: Floats, counts: Floats, scalars: Sequence[Floats], where: KernelContext
) -> Floats:
    """Return the share of observations between `scalars` (two of (C,))."""
    del where
    lower, upper = scalars
    if not len(bounds) or not np.isposinf(bounds[-1]):
        return np.full(counts.shape[1], np.nan)
    bounds, counts = _coalesced(bounds, counts)
    total = counts[-1]
    between = _rank_at(bounds, counts, upper) - _rank_at(bounds, counts, lower)
    result = np.where(lower >= upper, 0.0, between / total)
    unknown = (total == 0) | np.isnan(lower) | np.isnan(upper)
    return np.where(unknown, np.nan, result)


def apply(
    kernel: Kernel, frame: Frame, scalars: Sequence[Floats], context: Context
) -> Frame:
    """Return `kernel` of every classic histogram in `frame` at every step.

    All histograms with the same bounds, at all steps where the same of their buckets
    are there, are computed together.
    """
    histograms = _histograms(frame, context)
    steps = context.steps.size
    values = np.full((len(histograms), steps), np.nan)
    present = np.zeros((len(histograms), steps), bool)
    alike: dict[tuple[float, ...], list[int]] = defaultdict(list)
    for index, histogram in enumerate(histograms):
        alike[histogram.bounds].append(index)
    for bounds, members in alike.items():
        context.budget.check()
        rows = np.array([histograms[index].rows for index in members])
        present_rows = frame.present[rows]  # (H, B, N)
        present[members] = present_rows.any(axis=1)
        complete = present_rows.all(axis=1)
        every = (frame, np.array(bounds), rows)
        _fill(kernel, values, every, members, complete, scalars, context)
        partly = np.argwhere(present[members] & ~complete)
        patterns: dict[bytes, list[int]] = defaultdict(list)
        for cell, (member, step) in enumerate(partly.tolist()):
            patterns[present_rows[member, :, step].tobytes()].append(cell)
        for pattern, cells in patterns.items():
            chosen = np.flatnonzero(np.frombuffer(pattern, bool))
            mask = np.zeros_like(complete)
            mask[tuple(partly[cells].T)] = True
            part = (frame, np.array(bounds)[chosen], rows[:, chosen])
            _fill(kernel, values, part, members, mask, scalars, context)
    labels = [histogram.labels for histogram in histograms]
    nameless = np.array([histogram.nameless for histogram in histograms], bool)
    result = Frame(labels, values, present, nameless).occupied()
    return context.without_name(result)


def _fill(
    kernel: Kernel,
    values: Floats,
    source: tuple[Frame, Floats, np.ndarray],
    members: Sequence[int],
    mask: Mask,
    scalars: Sequence[Floats],
    context: Context,
) -> None:
    """Write `kernel` of the cells in `mask` (H, N) into `values[members]`."""
    frame, bounds, rows = source
    which, step = np.nonzero(mask)
    if not len(which):
        return
    counts = frame.values[rows[which], step[:, None]].T
    where = KernelContext(context.steps.times()[step], context.notes)
    answer = kernel(bounds, counts, [scalar[step] for scalar in scalars], where)
    values[np.asarray(members)[which], step] = answer
