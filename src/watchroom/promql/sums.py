"""Sums that lose nothing to rounding: Neumaier's, in order and as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from watchroom.promql.model import Floats, Mask


class CompensatedSum(NamedTuple):
    """A running sum and what its rounding has lost so far."""

    total: Floats
    compensation: Floats

    def value(self) -> Floats:
        """Return the sum; the loss of an infinite sum is meaningless."""
        return np.where(
            np.isinf(self.total), self.total, self.total + self.compensation
        )


def add(sums: CompensatedSum, terms: Floats) -> CompensatedSum:
    """Return `sums` with `terms` added by Neumaier's variant of Kahan's method."""
    total, compensation = sums
    new = total + terms
    loss = np.where(
        np.abs(total) >= np.abs(terms), (total - new) + terms, (terms - new) + total
    )
    return CompensatedSum(new, np.where(np.isinf(new), 0.0, compensation + loss))


class RunningMean(NamedTuple):
    """A mean as Prometheus takes it: of the sum, until the sum overflows.

    From then on (`carried`) the mean itself is carried on from term to term.
    """

    sums: CompensatedSum
    mean: CompensatedSum
    carried: Mask

    def add(self, terms: Floats, count: Floats, where: Mask) -> RunningMean:
        """Return the mean with `terms` added, each the `count`-th of its mean."""
        grown = add(self.sums, terms)
        overflow = where & ~self.carried & np.isinf(grown.total)
        plain = where & ~self.carried & ~overflow
        before = np.maximum(count - 1, 1.0)
        base = CompensatedSum(
            np.where(overflow, self.sums.total / before, self.mean.total),
            np.where(overflow, self.sums.compensation / before, self.mean.compensation),
        )
        share = before / count
        moved = add(
            CompensatedSum(share * base.total, share * base.compensation), terms / count
        )
        step = overflow | (where & self.carried)
        return RunningMean(
            _choose(plain, grown, self.sums),
            _choose(step, moved, self.mean),
            self.carried | overflow,
        )

    def value(self, count: Floats) -> Floats:
        """Return the means of `count` terms each."""
        plain = self.sums.total / count + self.sums.compensation / count
        return np.where(self.carried, self.mean.total + self.mean.compensation, plain)


def _choose(
    where: Mask, if_true: CompensatedSum, if_false: CompensatedSum
) -> CompensatedSum:
    return CompensatedSum(
        np.where(where, if_true.total, if_false.total),
        np.where(where, if_true.compensation, if_false.compensation),
    )


def mean_in_order(values: Floats, present: Mask) -> Floats:
    """Return the means of the columns, row by row: for sums that overflow."""
    count = np.zeros(values.shape[1])
    nothing = CompensatedSum(np.zeros_like(count), np.zeros_like(count))
    mean = RunningMean(nothing, nothing, np.zeros(values.shape[1], bool))
    for row, valid in zip(values, present, strict=True):
        first = valid & (count == 0)
        count += valid
        later = mean.add(row, np.maximum(count, 1.0), valid & ~first)
        begun = CompensatedSum(
            np.where(first, row, later.sums.total), later.sums.compensation
        )
        mean = RunningMean(begun, later.mean, later.carried)
    return mean.value(np.maximum(count, 1.0))


def sum_last(values: Floats) -> Floats:
    """Return the sums along the last axis, halves added to halves as in a tree."""
    total, compensation = values, np.zeros_like(values)
    while total.shape[-1] > 1:
        half = total.shape[-1] // 2
        left, right = slice(0, half), slice(half, 2 * half)
        pairs = add(
            CompensatedSum(total[..., left], compensation[..., left]), total[..., right]
        )
        pairs_compensation = np.where(
            np.isinf(pairs.total), 0.0, pairs.compensation + compensation[..., right]
        )
        rest = slice(2 * half, None)
        total = np.concatenate([pairs.total, total[..., rest]], axis=-1)
        compensation = np.concatenate(
            [pairs_compensation, compensation[..., rest]], axis=-1
        )
    if not total.shape[-1]:
        return np.zeros(total.shape[:-1])
    return CompensatedSum(total[..., 0], compensation[..., 0]).value()


def sum_groups(values: Floats, starts: NDArray[np.intp]) -> Floats:
    """Return the sum of each block of rows; blocks begin at `starts` (G,).

    Neighbours are added in pairs until one row is left of every block, each pair with
    its rounding error: as exact as an ordered Neumaier sum, in log2 passes over whole
    matrices where that needs one pass per row.
    """
    sizes = np.diff(np.append(starts, len(values)))
    total, compensation = values, np.zeros_like(values)
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
        new, new_compensation = total[left], compensation[left]
        pairs = add(CompensatedSum(new[paired], new_compensation[paired]), total[right])
        new[paired] = pairs.total
        new_compensation[paired] = np.where(
            np.isinf(pairs.total), 0.0, pairs.compensation + compensation[right]
        )
        total, compensation, sizes = new, new_compensation, halves
    return CompensatedSum(total, compensation).value()
