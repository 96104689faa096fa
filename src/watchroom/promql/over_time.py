"""The functions of a range vector, each for all its series and windows at once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from watchroom.errors import QueryError
from watchroom.promql import sums
from watchroom.promql.quantiles import quantile
from watchroom.promql.rates import between_last_two, extrapolated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from watchroom.promql.model import Floats, Mask, Times
    from watchroom.promql.windows import Windows

    Answer = tuple[Floats, Mask]

# Windows gathered for sorting hold at most this many values at a time (32 MiB).
_GATHERED = 4 * 2**20


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


def _first_time(windows: Windows) -> Answer:
    times = windows.times_at(windows.left) / 1000
    return np.broadcast_to(times, windows.shape), _some(windows)


def _last_time(windows: Windows) -> Answer:
    times = windows.times_at(windows.right - 1) / 1000
    return np.broadcast_to(times, windows.shape), _some(windows)


def _extreme(pick: np.ufunc, windows: Windows) -> Answer:
    best = np.full(windows.shape, np.nan)
    for _, valid, values, _ in windows.walk():
        pick(best, values, out=best, where=valid)
    return best, _some(windows)


def _extreme_time(better: np.ufunc, windows: Windows) -> Answer:
    best = np.full(windows.shape, np.nan)
    when = np.zeros(windows.shape)
    for rank, valid, values, times in windows.walk():
        take = valid & (better(values, best) | np.isnan(best))
        if rank == 0:
            take = valid
        best = np.where(take, values, best)
        when = np.where(take, times / 1000, when)
    return when, _some(windows)


def _sum(windows: Windows) -> Answer:
    total = sums.zeros(windows.shape)
    for _, valid, values, _ in windows.walk():
        total = sums.add(total, values, valid)
    return total.value(), _some(windows)


def _avg(windows: Windows) -> Answer:
    mean = sums.RunningMean.of(windows.values_at(windows.left))
    for rank, valid, values, _ in windows.walk():
        if rank:
            mean = mean.add(values, np.array(rank + 1.0), valid)
    counts = np.maximum(windows.counts, 1).astype(float)
    return mean.value(counts), _some(windows)


def _variance(windows: Windows, *, root: bool) -> Answer:
    mean, square = sums.zeros(windows.shape), sums.zeros(windows.shape)
    for rank, valid, values, _ in windows.walk():
        delta = values - (mean.total + mean.lost)
        mean = sums.add(mean, delta / (rank + 1), valid)
        square = sums.add(square, delta * (values - (mean.total + mean.lost)), valid)
    result = (square.total + square.lost) / np.maximum(windows.counts, 1)
    return (np.sqrt(result) if root else result), _some(windows)


def _between(windows: Windows, differs: Mask) -> Answer:
    """Return how many of the pairs marked in `differs` (S, T-1) each window holds."""
    before = np.zeros((differs.shape[0], differs.shape[1] + 1), np.int64)
    np.cumsum(differs, axis=1, out=before[:, 1:])
    left, right = windows.left, np.maximum(windows.right - 1, windows.left)
    top = before.shape[1] - 1
    left, right = np.minimum(left, top), np.minimum(right, top)
    if left.shape[0] == 1:
        found = before[:, right[0]] - before[:, left[0]]
    else:
        found = np.take_along_axis(before, right, axis=1) - np.take_along_axis(
            before, left, axis=1
        )
    return found.astype(float), _some(windows)


def _changes(windows: Windows) -> Answer:
    now, before = windows.values[:, 1:], windows.values[:, :-1]
    return _between(windows, (now != before) & ~(np.isnan(now) & np.isnan(before)))


def _resets(windows: Windows) -> Answer:
    return _between(windows, windows.values[:, 1:] < windows.values[:, :-1])


def _regression(windows: Windows, origin: Times) -> tuple[Floats, Floats]:
    """Return slope per second, and value at `origin` (ms), of least squares."""
    shape = windows.shape
    x_sum, y_sum, xy_sum, xx_sum = (sums.zeros(shape) for _ in range(4))
    first = windows.values_at(windows.left)
    constant = np.ones(shape, bool)
    for _, valid, values, times in windows.walk():
        x = np.broadcast_to((times - origin) / 1000, shape)
        constant &= ~valid | (values == first)
        x_sum = sums.add(x_sum, x, valid)
        y_sum = sums.add(y_sum, values, valid)
        xy_sum = sums.add(xy_sum, x * values, valid)
        xx_sum = sums.add(xx_sum, x * x, valid)
    count = windows.counts
    x_all, y_all = x_sum.total + x_sum.lost, y_sum.total + y_sum.lost
    covariance = xy_sum.total + xy_sum.lost - x_all * y_all / count
    variance = xx_sum.total + xx_sum.lost - x_all * x_all / count
    slope = covariance / variance
    intercept = y_all / count - slope * x_all / count
    flat = np.where(np.isinf(first), np.nan, 0.0)
    return (
        np.where(constant, flat, slope),
        np.where(constant, first + flat, intercept),
    )


def _deriv(windows: Windows) -> Answer:
    slope, _ = _regression(windows, windows.times_at(windows.left))
    return slope, _some(windows, 2)


def _predict(windows: Windows, scalars: Sequence[Floats], times: Times) -> Answer:
    slope, intercept = _regression(windows, times)
    return slope * scalars[0] + intercept, _some(windows, 2)


def _sorted_windows(
    windows: Windows, answer: Callable[[Floats, Mask], Floats]
) -> Answer:
    """Return `answer(values, valid)` of the windows as (rows, M, K), in portions."""
    result = np.full(windows.shape, np.nan)
    counts = windows.counts
    longest = max(1, int(counts.max()) if counts.size else 1)
    rows = max(1, _GATHERED // (longest * max(1, windows.shape[1])))
    offsets = np.arange(longest)
    for start in range(0, windows.shape[0], rows):
        windows.budget.check()
        part = slice(start, start + rows)
        edges = slice(0, 1) if windows.left.shape[0] == 1 else part
        index = windows.left[edges][..., None] + offsets
        valid = index < windows.right[edges][..., None]
        index = np.minimum(index, max(0, windows.values.shape[1] - 1))
        values = windows.values[part]
        if index.shape[0] == 1:
            taken = values[:, index[0]]
        else:
            flat = index.reshape(index.shape[0], -1)
            taken = np.take_along_axis(values, flat, axis=1).reshape(index.shape)
        result[part] = answer(taken, np.broadcast_to(valid, taken.shape))
    return result, _some(windows)


def _quantile(windows: Windows, scalars: Sequence[Floats], times: Times) -> Answer:
    del times
    return _sorted_windows(
        windows, lambda values, valid: quantile(scalars[0], values, valid)
    )


def _mad(windows: Windows) -> Answer:
    half = np.array(0.5)

    def answer(values: Floats, valid: Mask) -> Floats:
        median = quantile(half, values, valid)
        spread = quantile(half, np.abs(values - median[..., None]), valid)
        broken = (valid & np.isnan(values)).any(axis=-1)
        return np.where(broken, np.nan, spread)

    return _sorted_windows(windows, answer)


def _smooth(windows: Windows, scalars: Sequence[Floats], times: Times) -> Answer:
    del times
    share, trend_share = scalars
    for given, name, short in (
        (share, "smoothing", "sf"),
        (trend_share, "trend", "tf"),
    ):
        wrong = given[~((given > 0) & (given < 1))]
        if wrong.size:
            raise QueryError(
                f"invalid {name} factor. Expected: 0 < {short} < 1, got: {wrong[0]:f}"
            )
    before = now = trend = np.zeros(windows.shape)
    for rank, valid, values, _ in windows.walk():
        if rank == 0:
            now = np.where(valid, values, 0.0)
            continue
        if rank == 1:
            slope = values - now
        else:
            slope = trend_share * (now - before) + (1 - trend_share) * trend
        level = share * values + (1 - share) * (now + slope)
        trend = np.where(valid, slope, trend)
        before = np.where(valid, now, before)
        now = np.where(valid, level, now)
    return now, _some(windows, 2)


def _integral(windows: Windows, scalars: Sequence[Floats], times: Times) -> Answer:
    """Integrate by the left, right or trapezoidal rule (0, 1, 2); NaN counts as 0."""
    del times
    rule = scalars[0] if scalars else np.array(2.0)
    rule = np.where(np.isin(rule, (0.0, 1.0, 2.0)), rule, 2.0)
    total = sums.zeros(windows.shape)
    before, when = np.zeros(windows.shape), np.zeros(windows.shape)
    for rank, valid, values, at in windows.walk():
        now = np.where(np.isnan(values), 0.0, values)
        if rank:
            # Halves first: two large finite values must not overflow.
            height = np.where(
                rule == 0, before, np.where(rule == 1, now, before / 2 + now / 2)
            )
            area = height * ((at - when) / 1000)
            total = sums.add(total, area, valid & (height != 0))
        before, when = now, np.broadcast_to(at, windows.shape).astype(float)
    return total.value(), _some(windows)


RANGE_FUNCTIONS: Mapping[str, RangeFunction] = {
    "avg_over_time": _plain(_avg),
    "changes": _plain(_changes),
    "count_over_time": _plain(_count),
    "delta": _plain(partial(extrapolated, counter=False, per_second=False)),
    "deriv": _plain(_deriv),
    "double_exponential_smoothing": _smooth,
    "first_over_time": _plain(_first),
    "idelta": _plain(partial(between_last_two, per_second=False)),
    "increase": _plain(partial(extrapolated, counter=True, per_second=False)),
    "integral": _integral,
    "irate": _plain(partial(between_last_two, per_second=True)),
    "last_over_time": _plain(_last),
    "mad_over_time": _plain(_mad),
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
    "ts_of_first_over_time": _plain(_first_time),
    "ts_of_last_over_time": _plain(_last_time),
    "ts_of_max_over_time": _plain(partial(_extreme_time, np.greater_equal)),
    "ts_of_min_over_time": _plain(partial(_extreme_time, np.less_equal)),
}
