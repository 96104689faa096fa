"""Sums that lose nothing to rounding: Neumaier's, in order and as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchroom.promql.model import Floats, Mask


class Compensated(NamedTuple):
    """A running sum and what its rounding has lost so far."""

    total: Floats
    lost: Floats

    def value(self) -> Floats:
        """Return the sum; the loss of an infinite sum is meaningless."""
        return np.where(np.isinf(self.total), self.total, self.total + self.lost)


def add(sums: Compensated, terms: Floats, where: Mask | None = None) -> Compensated:
    """Return `sums` with `terms` added by Neumaier's variant of Kahan's method."""
    total, lost = sums
    new = total + terms
    loss = np.where(
        np.abs(total) >= np.abs(terms), (total - new) + terms, (terms - new) + total
    )
    new_lost = np.where(np.isinf(new), 0.0, lost + loss)
    if where is None:
        return Compensated(new, new_lost)
    return Compensated(np.where(where, new, total), np.where(where, new_lost, lost))


def zeros(shape: tuple[int, ...]) -> Compensated:
    """Return sums of nothing."""
    return Compensated(np.zeros(shape), np.zeros(shape))


class RunningMean(NamedTuple):
    """A mean as Prometheus takes it: of the sum, until the sum overflows.

    From then on (`carried`) the mean itself is carried on from term to term.
    """

    sums: Compensated
    mean: Compensated
    carried: Mask

    @classmethod
    def of(cls, first: Floats) -> RunningMean:
        """Return the mean of one term each."""
        nothing = zeros(first.shape)
        start = Compensated(first, nothing.lost)
        return cls(start, nothing, np.zeros(first.shape, bool))

    def add(self, terms: Floats, count: Floats, where: Mask) -> RunningMean:
        """Return the mean with `terms` added, each the `count`-th of its mean."""
        grown = add(self.sums, terms)
        overflow = where & ~self.carried & np.isinf(grown.total)
        plain = where & ~self.carried & ~overflow
        before = np.maximum(count - 1, 1.0)
        base = Compensated(
            np.where(overflow, self.sums.total / before, self.mean.total),
            np.where(overflow, self.sums.lost / before, self.mean.lost),
        )
        share = before / count
        moved = add(Compensated(share * base.total, share * base.lost), terms / count)
        step = overflow | (where & self.carried)
        return RunningMean(
            _choose(plain, grown, self.sums),
            _choose(step, moved, self.mean),
            self.carried | overflow,
        )

    def value(self, count: Floats) -> Floats:
        """Return the means of `count` terms each."""
        plain = self.sums.total / count + self.sums.lost / count
        return np.where(self.carried, self.mean.total + self.mean.lost, plain)


def _choose(where: Mask, one: Compensated, other: Compensated) -> Compensated:
    return Compensated(
        np.where(where, one.total, other.total), np.where(where, one.lost, other.lost)
    )


def mean_in_order(values: Floats, present: Mask) -> Floats:
    """Return the means of the columns, row by row: for sums that overflow."""
    mean = RunningMean.of(np.zeros(values.shape[1]))
    count = np.zeros(values.shape[1])
    for row, there in zip(values, present, strict=True):
        first = there & (count == 0)
        count += there
        later = mean.add(row, np.maximum(count, 1.0), there & ~first)
        begun = Compensated(np.where(first, row, later.sums.total), later.sums.lost)
        mean = RunningMean(begun, later.mean, later.carried)
    return mean.value(np.maximum(count, 1.0))


def sum_last(values: Floats) -> Floats:
    """Return the sums along the last axis, halves added to halves as in a tree."""
    total, lost = values, np.zeros_like(values)
    while total.shape[-1] > 1:
        half = total.shape[-1] // 2
        left, right = slice(0, half), slice(half, 2 * half)
        pairs = add(Compensated(total[..., left], lost[..., left]), total[..., right])
        pairs_lost = np.where(np.isinf(pairs.total), 0.0, pairs.lost + lost[..., right])
        rest = slice(2 * half, None)
        total = np.concatenate([pairs.total, total[..., rest]], axis=-1)
        lost = np.concatenate([pairs_lost, lost[..., rest]], axis=-1)
    if not total.shape[-1]:
        return np.zeros(total.shape[:-1])
    return Compensated(total[..., 0], lost[..., 0]).value()


def sum_groups(values: Floats, starts: NDArray[np.intp]) -> Floats:
    """Return the sum of each block of rows; blocks begin at `starts` (G,).

    Neighbours are added in pairs until one row is left of every block, each pair with
    its rounding error: as exact as an ordered Neumaier sum, in log2 passes over whole
    matrices where that needs one pass per row.
    """
    sizes = np.diff(np.append(starts, len(values)))
    total, lost = values, np.zeros_like(values)
    while sizes.size and int(sizes.max()) > 1:
        heads = np.cumsum(sizes) - sizes
        halves = (sizes + 1) // 2
        block = np.repeat(np.arange(len(sizes)), halves)
        within = np.arange(int(halves.sum())) - np.repeat(
            np.cumsum(halves) - halves, halves
        )
        left = heads[block] + 2 * within
        paired = 2 * within + 1 < sizes[block]
        right = left[paired] + 1
        new, new_lost = total[left], lost[left]
        pairs = add(Compensated(new[paired], new_lost[paired]), total[right])
        new[paired] = pairs.total
        new_lost[paired] = np.where(
            np.isinf(pairs.total), 0.0, pairs.lost + lost[right]
        )
        total, lost, sizes = new, new_lost, halves
    return Compensated(total, lost).value()
