"""The functions of a range vector, each for all its series and windows at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from watchroom.promql import sums
from watchroom.promql.quantiles import quantile
from watchroom.promql.rates import between_last_two, extrapolated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from watchroom.promql.model import Floats, Mask, Times
    from watchroom.promql.windows import Windows, WindowSamples

    Answer = tuple[Floats, Mask]


class RangeFunction(Protocol):
    """A function of windows; scalars are (M,), times those of the steps (N,)."""

    def __call__(
        self, windows: Windows, scalars: Sequence[Floats], times: Times
    ) -> Answer:
        """Return values (S, M) and which of them there are."""
        ...


def _some(windows: Windows, least: int = 1) -> Mask:
    return np.broadcast_to(windows.counts >= least, windows.shape)


def _plain(function: Callable[[Windows], Answer]) -> RangeFunction:
    """Return `function` as one that takes no scalars."""

    def call(windows: Windows, scalars: Sequence[Floats], times: Times) -> Answer:
        del scalars, times
        return function(windows)

    return call


def _count(windows: Windows) -> Answer:
    return np.broadcast_to(windows.counts.astype(float), windows.shape), _some(windows)


def _present(windows: Windows) -> Answer:
    return np.ones(windows.shape), _some(windows)


def _first(windows: Windows) -> Answer:
    return windows.values_at(windows.left), _some(windows)


def _last(windows: Windows) -> Answer:
    return windows.values_at(windows.right - 1), _some(windows)


def _reduce(windows: Windows, answer: Callable[[WindowSamples], Floats]) -> Answer:
    """Return `answer`, (R, M), of all windows."""
    result = np.full(windows.shape, np.nan)
    for gathered in windows.gather():
        result[gathered.rows, gathered.columns] = answer(gathered)
    return result, _some(windows)


def _extreme(pick: np.ufunc, windows: Windows) -> Answer:
    # fmax and fmin pass over NaN, which also fills cells outside of a window.
    return _reduce(
        windows,
        lambda block: pick.reduce(np.where(block.valid, block.values, np.nan), axis=-1),
    )


def _filled(block: WindowSamples) -> Floats:
    return np.where(block.valid, block.values, 0.0)


def _sum(windows: Windows) -> Answer:
    return _reduce(windows, lambda block: sums.sum_last(_filled(block)))


def _mean(block: WindowSamples) -> Floats:
    """Return the means; where the sum of finite values overflows, in order."""
    filled = _filled(block)
    counts = np.maximum(block.valid.sum(axis=-1), 1)
    means: Floats = sums.sum_last(filled) / counts
    overflown = ~np.isfinite(means) & np.isfinite(filled).all(axis=-1)
    if overflown.any():
        values, valid = filled[overflown].T, block.valid[overflown].T
        means[overflown] = sums.mean_in_order(values, valid)
    return means


def _variance(windows: Windows, *, root: bool) -> Answer:
    def answer(block: WindowSamples) -> Floats:
        # Deviations from the first value: exactly 0 when all are the same.
        shifted = np.where(block.valid, block.values - block.values[..., :1], 0.0)
        counts = np.maximum(block.valid.sum(axis=-1), 1)
        mean = sums.sum_last(shifted) / counts
        spread = np.where(block.valid, (shifted - mean[..., None]) ** 2, 0.0)
        variance: Floats = sums.sum_last(spread) / counts
        return variance

    result, valid = _reduce(windows, answer)
    return (np.sqrt(result) if root else result), valid


def _between(windows: Windows, differs: Mask) -> Answer:
    """Return how many of the pairs marked in `differs` (S, T-1) each window holds."""
    before = np.zeros((differs.shape[0], differs.shape[1] + 1), np.int64)
    np.cumsum(differs, axis=1, out=before[:, 1:])
    left, right = windows.left, np.maximum(windows.right - 1, windows.left)
    top = before.shape[1] - 1
    left, right = np.minimum(left, top), np.minimum(right, top)
    if left.shape[0] == 1:
        counts = before[:, right[0]] - before[:, left[0]]
    else:
        counts = np.take_along_axis(before, right, axis=1) - np.take_along_axis(
            before, left, axis=1
        )
    return counts.astype(float), _some(windows)


def _changes(windows: Windows) -> Answer:
    now, before = windows.values[:, 1:], windows.values[:, :-1]
    return _between(windows, (now != before) & ~(np.isnan(now) & np.isnan(before)))


def _resets(windows: Windows) -> Answer:
    return _between(windows, windows.values[:, 1:] < windows.values[:, :-1])


def _regression(windows: Windows, origin: Times) -> tuple[Floats, Floats]:
    """Return slope per second, and value at `origin` (ms), of least squares."""
    slopes, intercepts = np.empty(windows.shape), np.empty(windows.shape)
    for block in windows.gather():
        begin = origin if origin.shape[0] == 1 else origin[block.rows]
        begin = begin if begin.shape[1] == 1 else begin[:, block.columns]
        x = np.where(block.valid, (block.times - begin[..., None]) / 1000, 0.0)
        y = _filled(block)
        count = np.maximum(block.valid.sum(axis=-1), 1)
        first = block.values[..., 0]
        constant = (~block.valid | (block.values == first[..., None])).all(axis=-1)
        x_sum, y_sum = sums.sum_last(x), sums.sum_last(y)
        covariance = sums.sum_last(x * y) - x_sum * y_sum / count
        variance = sums.sum_last(x * x) - x_sum * x_sum / count
        slope = covariance / variance
        flat = np.where(np.isinf(first), np.nan, 0.0)
        cells = block.rows, block.columns
        slopes[cells] = np.where(constant, flat, slope)
        intercepts[cells] = np.where(
            constant, first + flat, y_sum / count - slope * x_sum / count
        )
    return slopes, intercepts


def _deriv(windows: Windows) -> Answer:
    slope, _ = _regression(windows, windows.times_at(windows.left))
    return slope, _some(windows, 2)


def _predict(windows: Windows, scalars: Sequence[Floats], times: Times) -> Answer:
    slope, intercept = _regression(windows, times[None, :])
    return slope * scalars[0] + intercept, _some(windows, 2)


def _quantile(windows: Windows, scalars: Sequence[Floats], times: Times) -> Answer:
    del times
    (share,) = scalars
    return _reduce(
        windows,
        lambda block: quantile(share[block.columns], block.values, block.valid),
    )


RANGE_FUNCTIONS: Mapping[str, RangeFunction] = {
    "avg_over_time": _plain(lambda windows: _reduce(windows, _mean)),
    "changes": _plain(_changes),
    "count_over_time": _plain(_count),
    "delta": _plain(partial(extrapolated, counter=False, per_second=False)),
    "deriv": _plain(_deriv),
    "first_over_time": _plain(_first),
    "idelta": _plain(partial(between_last_two, per_second=False)),
    "increase": _plain(partial(extrapolated, counter=True, per_second=False)),
    "irate": _plain(partial(between_last_two, per_second=True)),
    "last_over_time": _plain(_last),
    "max_over_time": _plain(partial(_extreme, np.fmax)),
    "min_over_time": _plain(partial(_extreme, np.fmin)),
    "predict_linear": _predict,
    "present_over_time": _plain(_present),
    "quantile_over_time": _quantile,
    "rate": _plain(partial(extrapolated, counter=True, per_second=True)),
    "resets": _plain(_resets),
    "stddev_over_time": _plain(partial(_variance, root=True)),
    "stdvar_over_time": _plain(partial(_variance, root=False)),
    "sum_over_time": _plain(_sum),
}
