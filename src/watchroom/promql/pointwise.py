"""The functions that change each sample by itself: mathematics, clamps, dates."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from watchroom.promql.frame import Frame, as_frame, as_scalar, one_row

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from watchroom.promql.frame import Context, Result
    from watchroom.promql.model import Floats

    Moments: TypeAlias = NDArray[np.datetime64]

# What Go makes of the seconds it gets from NaN or infinity, the smallest int64.
_NO_TIME: Mapping[str, float] = {
    "day_of_month": 4.0,
    "day_of_week": 0.0,
    "day_of_year": 339.0,
    "days_in_month": 31.0,
    "hour": 15.0,
    "minute": 30.0,
    "month": 12.0,
    "year": 292277026596.0,
}


_ANGLES = ("cos", "cosh", "sin", "sinh", "tan", "tanh")


def _sign(values: Floats) -> Floats:
    return np.where(np.isnan(values), values, np.sign(values))


MATHEMATICS: Mapping[str, Callable[[Floats], Floats]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "deg": lambda values: values * (180 / np.pi),
    "exp": np.exp,
    "floor": np.floor,
    "ln": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "rad": lambda values: values * (np.pi / 180),
    "sgn": _sign,
    "sqrt": np.sqrt,
    **{name: getattr(np, name) for name in _ANGLES},
    **{f"a{name}": getattr(np, f"arc{name}") for name in _ANGLES},
}


def _seconds(values: Floats) -> Moments:
    """Return whole seconds since the epoch; anything else becomes NaT."""
    in_range = np.isfinite(values) & (np.abs(values) < 2.0**63)
    seconds = np.trunc(np.where(in_range, values, 0.0)).astype(np.int64)
    moments = seconds.astype("datetime64[s]")
    moments[~in_range] = np.datetime64("NaT")
    return moments


def _date(name: str, values: Floats) -> Floats:
    """Return a date function of seconds; NaN and infinity as Prometheus has them."""
    moments = _seconds(values)
    return np.where(np.isnat(moments), _NO_TIME[name], DATES[name](moments))


def _number(deltas: NDArray[np.timedelta64]) -> Floats:
    """Return counts of a timedelta64 as floats, NaT as NaN."""
    counts = deltas.astype(np.int64).astype(float)
    return np.where(np.isnat(deltas), np.nan, counts)


def _since(moments: Moments, large: str, small: str) -> Floats:
    """Return how many `small` units have passed in the current `large` one."""
    begun = moments.astype(f"datetime64[{large}]").astype(f"datetime64[{small}]")
    return _number(moments.astype(f"datetime64[{small}]") - begun)


def _year(moments: Moments) -> Floats:
    years = moments.astype("datetime64[Y]") - np.datetime64("1970", "Y")
    return _number(years) + 1970


def _days_in_month(moments: Moments) -> Floats:
    month = moments.astype("datetime64[M]")
    following = (month + np.timedelta64(1, "M")).astype("datetime64[D]")
    return _number(following - month.astype("datetime64[D]"))


def _day_of_week(moments: Moments) -> Floats:
    days = moments.astype("datetime64[D]") - np.datetime64("1970-01-01", "D")
    return np.mod(_number(days) + 4, 7)  # 1970-01-01 was a Thursday; Sunday is 0


DATES: Mapping[str, Callable[[Moments], Floats]] = {
    "day_of_month": lambda moments: _since(moments, "M", "D") + 1,
    "day_of_week": _day_of_week,
    "day_of_year": lambda moments: _since(moments, "Y", "D") + 1,
    "days_in_month": _days_in_month,
    "hour": lambda moments: _since(moments, "D", "h"),
    "minute": lambda moments: _since(moments, "h", "m"),
    "month": lambda moments: _since(moments, "Y", "M") + 1,
    "year": _year,
}


def go_min(left: Floats, right: Floats) -> Floats:
    """Return the smaller; -Inf wins over NaN, NaN over all else, as in Go."""
    lowest = np.isneginf(left) | np.isneginf(right)
    return np.where(lowest, -np.inf, np.minimum(left, right))


def go_max(left: Floats, right: Floats) -> Floats:
    """Return the larger; +Inf wins over NaN, NaN over all else, as in Go."""
    highest = np.isposinf(left) | np.isposinf(right)
    return np.where(highest, np.inf, np.maximum(left, right))


def replace_values(frame: Frame, values: Floats, context: Context) -> Frame:
    """Return `frame` with other values, its name dropped."""
    changed = Frame(frame.labels, values, frame.present, frame.nameless)
    return context.finish(context.without_name(changed))


def dates(name: str, args: Sequence[Result], context: Context) -> Frame:
    """Return a date function of every sample, or of the evaluation time."""
    if not args:
        now = context.steps.times() // 1000
        return one_row((), _date(name, now.astype(float)))
    frame = as_frame(args[0])
    return replace_values(frame, _date(name, frame.values), context)


def clamp(name: str, args: Sequence[Result], context: Context) -> Frame:
    """Return every sample held between limits; none where the limits cross."""
    frame, limits = as_frame(args[0]), [as_scalar(limit) for limit in args[1:]]
    low = limits[0] if name != "clamp_max" else np.array(-np.inf)
    high = limits[-1] if name != "clamp_min" else np.array(np.inf)
    values = go_max(low, go_min(high, frame.values))
    crossed = high < low
    clamped = Frame(frame.labels, values, frame.present & ~crossed, frame.nameless)
    return context.finish(context.without_name(clamped.occupied()))


def rounded(args: Sequence[Result], context: Context) -> Frame:
    """Return every sample rounded to a multiple of the second argument, ties up."""
    frame = as_frame(args[0])
    nearest = as_scalar(args[1]) if len(args) > 1 else np.array(1.0)
    # The inverse, as Prometheus has it: 5.3 / 0.1 is not 53, 5.3 * 10 is.
    inverse = 1.0 / nearest
    values = np.floor(frame.values * inverse + 0.5) / inverse
    return replace_values(frame, values, context)
