"""Window functions against a plain reading of Prometheus' rules, sample by sample."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from tests.support import samples
from tests.support.one_group import OneGroup

from watchroom.promql.engine import Engine
from watchroom.promql.memory import MemoryQueryable
from watchroom.promql.model import drop_name, is_stale, metric_name

BASE = 1_700_000_000_000
SPAN = samples.STEP_MS * samples.COUNT


def window(points, at, length):
    return [
        (when, value)
        for when, value in points
        if at - length < when <= at and not is_stale(np.array([value]))[0]
    ]


def extrapolated(points, at, length, *, counter, per_second):
    if len(points) < 2:
        return None
    change = points[-1][1] - points[0][1]
    if counter:
        for (_, before), (_, now) in itertools.pairwise(points):
            if now < before:
                change += before
    to_start = (points[0][0] - (at - length)) / 1000
    to_end = (at - points[-1][0]) / 1000
    sampled = (points[-1][0] - points[0][0]) / 1000
    average = sampled / (len(points) - 1)
    if to_start >= average * 1.1:
        to_start = average / 2
    if counter and change > 0 and points[0][1] >= 0:
        to_start = min(to_start, sampled * (points[0][1] / change))
    if to_end >= average * 1.1:
        to_end = average / 2
    factor = (sampled + to_start + to_end) / sampled
    return change * factor / (length / 1000 if per_second else 1)


def between_last(points, *, per_second):
    if len(points) < 2:
        return None
    (then, before), (when, now) = points[-2:]
    if not per_second:
        return now - before
    return (now if now < before else now - before) / ((when - then) / 1000)


def counted(points, differs):
    if not points:
        return None
    pairs = itertools.pairwise(points)
    return float(sum(differs(before, now) for (_, before), (_, now) in pairs))


def changed(before, now):
    return now != before and not (math.isnan(now) and math.isnan(before))


FUNCTIONS = {
    "rate": lambda p, at, n: extrapolated(p, at, n, counter=True, per_second=True),
    "increase": lambda p, at, n: extrapolated(p, at, n, counter=True, per_second=False),
    "delta": lambda p, at, n: extrapolated(p, at, n, counter=False, per_second=False),
    "irate": lambda p, _at, _n: between_last(p, per_second=True),
    "idelta": lambda p, _at, _n: between_last(p, per_second=False),
    "changes": lambda p, _at, _n: counted(p, changed),
    "resets": lambda p, _at, _n: counted(p, lambda before, now: now < before),
    "count_over_time": lambda p, _at, _n: float(len(p)) if p else None,
    "sum_over_time": lambda p, _at, _n: math.fsum(v for _, v in p) if p else None,
    "last_over_time": lambda p, _at, _n: p[-1][1] if p else None,
    "max_over_time": lambda p, _at, _n: max(v for _, v in p) if p else None,
}


def same(one, other):
    if math.isnan(one) or math.isnan(other):
        return math.isnan(one) and math.isnan(other)
    return math.isclose(one, other, rel_tol=1e-11, abs_tol=1e-12)


@pytest.mark.parametrize("queryable", [MemoryQueryable, OneGroup])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_window_is_what_its_samples_say(function, seed, queryable):
    chance = random.Random(f"{seed}{function}")
    made = samples.make(seed, BASE)
    memory = queryable(samples.as_series(made))
    length = chance.choice((40_000, 60_000, 300_000, 1_000_000))
    # On the samples' own grid too: edges are where windows go wrong.
    start = chance.choice((BASE + chance.randrange(SPAN), made[0][1][-30][0]))
    step = chance.choice((samples.STEP_MS, 13_777, length))
    end = start + 9 * step

    for name in ("requests_total", "load"):
        matrix = Engine().range(
            memory, f"{function}({name}[{length}ms])", start, end, step
        )
        got = {
            labels: dict(zip(times.tolist(), values.tolist(), strict=True))
            for labels, times, values in matrix.series
        }
        for labels, points in made:
            if metric_name(labels) != name:
                continue
            mine = got.get(labels if "last" in function else drop_name(labels), {})
            for at in range(start, end + 1, step):
                right = FUNCTIONS[function](window(points, at, length), at, length)
                assert (right is None) == (at not in mine), (labels, at)
                assert right is None or same(right, mine[at]), (labels, at)


def regular(values):
    times = [BASE + samples.STEP_MS * index for index in range(len(values))]
    points = list(zip(times, values, strict=True))
    return MemoryQueryable(
        samples.as_series([((("__name__", "x_total"),), points)])
    ), times


def test_a_fall_counts_once_in_each_window_that_holds_it():
    memory, times = regular([10.0, 20.0, 5.0, 7.0, 1.0, 3.0])

    got = Engine().instant(memory, "increase(x_total[75001ms])", times[-1])

    # 10 up, then 5 after the fall, 2 up, 1 after the next fall, 2 up.
    assert got.samples[0][1] == pytest.approx(20.0, rel=1e-3)


def test_an_infinite_fall_does_not_spoil_the_windows_after_it():
    memory, times = regular([1.0, math.inf, 2.0, 3.0, 4.0])

    query = "increase(x_total[31s])"
    matrix = Engine().range(memory, query, times[2], times[4], samples.STEP_MS)

    finite = [math.isfinite(value) for value in matrix.series[0][2]]
    assert finite == [False, False, True]
