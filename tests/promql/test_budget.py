"""Queries are bounded in bytes: refused before the memory is taken, and counted."""

from __future__ import annotations

import threading
import tracemalloc

import numpy as np
import pytest

from watchroom.errors import QueryLimitError
from watchroom.monitor.api import encode
from watchroom.promql.budget import MemoryBudget
from watchroom.promql.engine import Engine
from watchroom.promql.memory import MemoryQueryable as Samples
from watchroom.promql.memory import Series
from watchroom.promql.model import labels_of

MIB = 1 << 20
DAY_MS = 86_400_000


def samples(series=5, rows=1000, step=15_000):
    times = np.arange(rows, dtype=np.int64) * step
    return Samples(
        Series(
            labels_of({"__name__": "m", "i": str(index)}),
            times,
            np.arange(rows) * 1.5 + index,
        )
        for index in range(series)
    )


def peak(call):
    tracemalloc.start()
    try:
        call()
    finally:
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return most


@pytest.mark.parametrize(
    "query",
    [
        "last_over_time(vector(1)[31d:1ms])",
        "vector(1)[31d:1ms]",
        "sum_over_time(vector(1 + 1)[300d:1s] offset 5m)",
        "sum_over_time(vector(time())[300d:10ms])",
        "m[31d:10ms]",
        "max_over_time(m[31d:10ms])",
        "absent(nothing)[31d:1ms]",
        'count_values("v", m)[10d:100ms]',
    ],
)
def test_what_needs_more_than_a_query_may_have_is_refused_before_it_is_taken(query):
    engine = Engine(max_samples=10**12, memory=MemoryBudget(64 * MIB, 512 * MIB))

    def ask():
        with pytest.raises(QueryLimitError, match="more than 64 MiB of memory"):
            engine.instant(samples(), query, 31 * DAY_MS)

    assert peak(ask) < 100 * MIB
    assert engine.memory.refused == 1
    assert engine.memory.held == 0


def test_every_value_that_is_counted_by_itself_is_held_by_itself():
    engine = Engine(max_samples=10**12, memory=MemoryBudget(8 * MIB, 512 * MIB))

    with pytest.raises(QueryLimitError, match="memory"):
        engine.range(samples(rows=2000), 'count_values("v", m)', 0, 30_000_000, 15_000)


def test_long_windows_at_many_steps_are_read_in_portions():
    memory = samples(series=1, rows=40_000, step=1000)
    engine = Engine()

    def ask():
        for query in ("max_over_time(m[9h])", "deriv(m[9h])"):
            engine.range(memory, query, 39_000_000, 39_999_000, 5_000)

    # All at once they would be 200 windows of 32,400 values: 50 MiB for each matrix.
    assert peak(ask) < 100 * MIB


def test_portions_of_windows_give_the_same_as_windows_one_by_one(monkeypatch):
    memory = samples(series=3, rows=400)
    queries = [
        "max_over_time(m[10m])",
        "avg_over_time(m[10m])",
        "predict_linear(m[10m], 60)",
        "quantile_over_time(scalar(m{i='0'}) / 1000, m[10m])",
        "stddev_over_time(m[10m:7s])",
    ]
    whole = [Engine().range(memory, q, 0, 6_000_000, 60_000) for q in queries]
    monkeypatch.setattr("watchroom.promql.windows._GATHERED", 90)  # many portions
    for query, right in zip(queries, whole, strict=True):
        found = Engine().range(memory, query, 0, 6_000_000, 60_000)
        for one, other in zip(found.series, right.series, strict=True):
            assert one[0] == other[0]
            np.testing.assert_array_equal(one[2], other[2])


def test_what_all_queries_hold_together_is_bounded_and_given_back():
    engine = Engine(memory=MemoryBudget(64 * MIB, 20 * MIB))
    with engine.ask() as first:
        first.budget.hold(15 * MIB)
        with pytest.raises(QueryLimitError, match=r"all queries together .* 20 MiB"):
            engine.range(samples(series=50), "m + m", 0, 10_000_000, 1_000)
    assert engine.memory.held == 0

    assert engine.range(samples(), "m", 0, 1_000_000, 15_000).series
    assert (engine.memory.held, engine.memory.refused) == (0, 1)
    assert engine.memory.most >= 15 * MIB


def test_nothing_is_lost_of_what_many_threads_hold_and_give_back():
    engine = Engine()
    store = samples(series=20)

    def ask():
        for _ in range(20):
            engine.range(store, "rate(m[5m])", 0, 1_000_000, 15_000)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert engine.memory.held == 0


def test_the_text_of_an_answer_is_held_before_it_is_written():
    engine = Engine(max_samples=10**9, memory=MemoryBudget(10 * MIB, 512 * MIB))
    with engine.ask() as asked:
        found = engine.instant(samples(), "m[4h:1s]", 15_000_000, asked)
        with pytest.raises(QueryLimitError, match="10 MiB"):
            encode.value(found, 15_000_000, asked.budget.hold)
