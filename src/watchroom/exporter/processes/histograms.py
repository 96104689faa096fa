"""Adding histograms whose edges differ, while a changed limit is rolled out.

A limit of a vital is a bucket edge, so during a rolling deploy some processes have an
edge that the others lack. Each part is read as `histogram_quantile` reads it, as lines
between its edges, and the lines are added: counts at edges that all have are exact, the
quantiles of the sum are those of the mixture, and no series falls, over time or along
the edges. Beyond a part's last edge nothing is assumed: it adds what it knows.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Shares are multiples of this, so that counts below 2^41 blend without rounding: a sum
# that falls by a rounding error would be taken for a restart.
_GRAIN = 4096

Step = tuple[int, int, float]


def steps(own: Sequence[float], edges: Iterable[float]) -> list[Step]:
    """Return how to read cumulative counts at `edges` edges off a part's `own`.

    Args:
        own: The part's edges, rising, without +Inf.
        edges: The edges to show.

    Returns:
        Per shown edge the places of the counts before and after it in the list that
        begins with 0 and goes on with the cumulative counts, and the share between.
    """
    readings = []
    for edge in edges:
        at = bisect_left(own, edge)
        if at < len(own) and own[at] == edge:
            readings.append((at + 1, at + 1, 0.0))
        elif at == len(own):
            readings.append((at, at, 0.0))
        else:
            low = own[at - 1] if at else min(0.0, own[0])
            share = (edge - low) / (own[at] - low) if own[at] > low else 1.0
            readings.append((at, at + 1, round(share * _GRAIN) / _GRAIN))
    return readings


def read(buckets: Iterable[float], along: Sequence[Step]) -> list[float]:
    """Return the cumulative counts at the shown edges, and the count of all.

    Args:
        buckets: The part's plain buckets, +Inf's last.
        along: What `steps` returned.
    """
    sums = [0.0, *accumulate(buckets)]
    counts = [
        sums[low] if low == high else sums[low] * (1.0 - share) + sums[high] * share
        for low, high, share in along
    ]
    counts.append(sums[-1])
    return counts
