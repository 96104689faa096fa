from __future__ import annotations

import numpy as np
import pytest

from watchroom.errors import QueryLimitError, StoreError
from watchroom.monitor.store import AppendResult
from watchroom.promql.model import ABSENT, STALE, STALE_CELL, Matcher, labels_of

START = 1_800_000_000_000


def series(name, **labels):
    return labels_of({"__name__": name, **labels})


def named(name):
    return Matcher("__name__", "=", name)


_ASKED = [
    [named("m0_total")],
    [named("m1")],
    [Matcher("__name__", "=~", "m.*")],
    [named("m0_total"), Matcher("a", "=", "1")],
    [named("m0_total"), Matcher("a", "!=", "1")],
    [named("m0_total"), Matcher("b", "=", "")],
    [named("m0_total"), Matcher("b", "!=", "")],
    [named("m0_total"), Matcher("b", "=~", "x|")],
    [named("m0_total"), Matcher("b", "!~", "x|")],
    [named("m0_total"), Matcher("nowhere", "=", "")],
    [named("m0_total"), Matcher("nowhere", "!=", "")],
    [Matcher("a", "=~", "[0-3]"), Matcher("__name__", "!=", "m1")],
    [Matcher("b", "=", "x")],
    [named("nothing")],
]


class _Target:
    """A target whose series come and go, whose counters reset, whose gauges wander."""

    def __init__(self, number, rng):
        self.name = f"t{number}"
        self._rng = rng
        self._pool = [
            series("m0_total", a=str(n), t=self.name, **({"b": "x"} if n % 3 else {}))
            for n in range(12)
        ]
        self._pool += [series("m1", a=str(n), t=self.name) for n in range(4)]
        # Both targets name these.
        self._pool += [series("m2", a=str(n), b="x") for n in range(3)]
        self._values = dict.fromkeys(self._pool, 0.0)
        self._live = list(self._pool)

    def row(self):
        rng = self._rng
        if rng.random() < 0.2:
            self._live = [one for one in self._pool if rng.random() < 0.8]
        values = []
        for one in self._live:
            before = self._values[one]
            kind = rng.random()
            if dict(one)["__name__"] == "m1":
                value = rng.normal()
            elif kind < 0.02:
                value = STALE
            elif kind < 0.04:
                value = float(rng.choice([np.nan, np.inf, -np.inf, -0.0, 2.0**60]))
            elif kind < 0.05:
                value = 0.0
            else:
                value = (before if np.isfinite(before) else 0) + rng.integers(0, 300)
            self._values[one] = 0.0 if value != value else value  # noqa: PLR0124 - NaN
            values.append(value)
        return list(self._live), values


@pytest.mark.parametrize("seed", range(6))
def test_answers_are_those_of_a_dict_whatever_happens(
    seed, open_store, naive, answers, clock
):
    rng = np.random.default_rng(seed)
    targets = [_Target(n, rng) for n in range(2)]
    store, at = open_store(), START + int(rng.integers(0, 7_200_000))
    began = at
    for step in range(260):
        at += int(rng.choice([15_000, 15_001, 14_999, 60_000, 400_000]))
        clock.seconds = at / 1000
        for target in targets:
            labels, values = target.row()
            when = at + int(rng.integers(0, 2))
            if rng.random() < 0.05:  # a clock that jumps back
                newest = [s[-1][0] for s in naive.series.values() if s]
                when = min([*newest, at]) - int(rng.integers(0, 3))
            done = store.append(target.name, when, labels, values)
            assert tuple(done) == naive.append(when, labels, values)
        kind = rng.random()
        if kind < 0.06:
            store.maintain()
        elif kind < 0.1:
            store.close()
            store = open_store()
        elif kind < 0.13:
            store.flush()
        if step % 20 == 19:
            for matchers in _ASKED:
                low = int(rng.integers(began - 10_000, at))
                high = int(rng.integers(low, at + 10_000))
                wanted = naive.select(matchers, low, high)
                assert answers(store, matchers, low, high) == wanted
    clock.seconds += 8000
    store.maintain()
    for matchers in _ASKED:
        assert answers(store, matchers) == naive.select(matchers, 0, 10**16)
    stats = store.stats()
    assert stats["corrupt_blocks_total"] == stats["corrupt_rows_total"] == 0


def test_the_interval_is_open_at_its_left_and_closed_at_its_right(open_store, answers):
    store, one = open_store(), series("a")
    for k in range(5):
        store.append("t", START + k, [one], [float(k)])
    found = answers(store, [named("a")], START, START + 3)
    assert [t - START for t, _ in found[one]] == [1, 2, 3]


def test_a_late_sample_and_a_second_one_are_refused_and_counted(open_store, answers):
    store, one, two = open_store(), series("a"), series("b")
    assert store.append("t", START, [one], [1.0]) == AppendResult(1, 0, 0)
    assert store.append("t", START, [one], [9.0]) == AppendResult(0, 0, 1)
    assert store.append("t", START - 1, [one, two], [9.0, 2.0]) == AppendResult(1, 1, 0)
    assert store.append("t", START + 1, [one, one], [3.0, 4.0]) == AppendResult(1, 0, 1)
    assert [t for t, _ in answers(store, [named("a")])[one]] == [START, START + 1]
    assert [t for t, _ in answers(store, [named("b")])[two]] == [START - 1]
    stats = store.stats()
    assert stats["samples_appended_total"] == 3
    assert stats["samples_out_of_order_total"] == 1
    assert stats["samples_duplicate_total"] == 2


def test_refusals_are_remembered_over_a_restart(open_store, clock):
    store, one = open_store(), series("a")
    store.append("t", START, [one], [1.0])
    store.close()
    store = open_store()
    assert store.append("t", START, [one], [1.0]).duplicate == 1
    clock.seconds = START / 1000 + 9000
    store.maintain()
    store.close()
    store = open_store()
    assert store.append("t", START - 5, [one], [1.0]).out_of_order == 1
    assert store.append("t", START + 5, [one], [1.0]).accepted == 1


def test_a_series_that_moves_to_another_target_stands_once(open_store, answers, clock):
    store, one, two = open_store(), series("r"), series("r", a="1")
    store.append("rules/a;g", START, [one, two], [1.0, 5.0])
    store.append("rules/b;g", START + 1000, [one], [2.0])
    store.append("rules/a;g", START + 2000, [one, two], [3.0, 6.0])
    for _ in range(2):
        found = answers(store, [named("r")])
        assert [t - START for t, _ in found[one]] == [0, 1000, 2000]
        assert [t - START for t, _ in found[two]] == [0, 2000]
        clock.seconds = START / 1000 + 9000
        store.maintain()


def test_stale_and_absent_cells_are_told_apart(open_store):
    store, one, two = open_store(), series("a", x="1"), series("a", x="2")
    store.append("t", START, [one, two], [1.0, 2.0])
    store.append("t", START + 1, [one], [3.0])
    store.append("t", START + 2, [one, two], [STALE, 4.0])
    (group,) = store.snapshot().select([named("a")], 0, 10**16)
    assert group.state.tolist() == [[0, 0, STALE_CELL], [0, ABSENT, 0]]


def test_a_snapshot_never_changes(open_store, answers, clock):
    store = open_store(retention_seconds=20_000)
    one, two = series("a", x="1"), series("a", x="2")
    for k in range(400):
        store.append("t", START + k * 15_000, [one], [float(k)])
    view = store.snapshot()
    before = answers(view, [named("a")])
    assert len(before[one]) == 400
    for k in range(400, 600):
        store.append("t", START + k * 15_000, [one, two], [float(k), 1.5])
    clock.seconds = START / 1000 + 600 * 15
    store.maintain()  # cuts and merges what the snapshot reads
    assert answers(view, [named("a")]) == before
    clock.seconds += 100_000
    store.maintain()  # expires it
    assert answers(view, [named("a")]) == before
    assert answers(store, [named("a")]) == {}
    del view
    store.maintain()
    assert store.stats()["corrupt_blocks_total"] == 0


def test_a_select_beyond_the_limit_is_refused_before_it_is_read(open_store):
    store = open_store(max_cells=100)
    for k in range(51):
        store.append("t", START + k, [series("a", x="1"), series("a", x="2")], [1, 2])
    with pytest.raises(QueryLimitError, match="102"):
        store.snapshot().select([named("a")], 0, 10**16)


def test_series_beyond_the_limit_are_refused_and_counted(open_store, answers):
    store = open_store(max_series=2)
    labels = [series("a", x=str(n)) for n in range(4)]
    assert store.append("t", START, labels, [1, 2, 3, 4]).accepted == 2
    assert store.stats()["samples_over_series_limit_total"] == 2
    assert len(answers(store, [named("a")])) == 2


def test_a_target_that_fills_the_store_leaves_room_to_say_so(open_store, answers):
    store = open_store(max_series=20)
    flood = [series("a", x=str(n)) for n in range(30)]
    assert store.append("t", START, [*flood, series("up")], range(31)).accepted == 21
    assert store.append("rules/r.yml;g", START, [series("ALERTS")], [1]).accepted == 1
    assert store.append("u", START, [series("b")], [1]).accepted == 0
    assert len(answers(store, [named("up")])) == 1


def test_rows_of_the_wrong_length_and_a_closed_store_are_refused(open_store):
    store = open_store()
    with pytest.raises(ValueError, match="1 label sets"):
        store.append("t", START, [series("a")], [1.0, 2.0])
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.append("t", START, [series("a")], [1.0])
    with pytest.raises(StoreError, match="closed"):
        store.maintain()
