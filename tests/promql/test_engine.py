"""The engine's edges: limits, refusals, errors, and what a store may hand it."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from watchroom.errors import (
    QueryError,
    QueryLimitError,
    QuerySyntaxError,
    UnsupportedError,
)
from watchroom.promql.engine import Engine
from watchroom.promql.memory import MemoryQueryable, Series
from watchroom.promql.model import (
    ABSENT,
    STALE,
    STALE_CELL,
    VALUE,
    Matcher,
    Matrix,
    Scalar,
    SeriesGroup,
    String,
    Vector,
    is_stale,
    labels_of,
    metric_name,
)
from watchroom.promql.parse import EXPERIMENTAL, parse
from watchroom.promql.scan import unescape
from watchroom.promql.syntax import Selector
from watchroom.promql.value import format_float, format_plain

AT = 600_000


def series(name, values, step=15_000, **labels):
    times = np.arange(len(values), dtype=np.int64) * step
    return Series(
        labels_of({"__name__": name, **labels}), times, np.array(values, float)
    )


@pytest.fixture
def memory():
    return MemoryQueryable(
        series("hits_total", range(100), instance=str(index), job="web")
        for index in range(4)
    )


class Given:
    """A store of ready-made groups."""

    def __init__(self, *groups):
        self.groups = groups
        self.asked = []

    def select(self, matchers, start_ms, end_ms, _reserve=None):
        self.asked.append((matchers, start_ms, end_ms))
        return self.groups


def test_the_answers_have_the_types_of_the_contract(memory):
    engine = Engine()

    assert engine.instant(memory, "1 + 1", AT) == Scalar(2.0)
    assert engine.instant(memory, '"text"', AT) == String("text")
    assert isinstance(engine.instant(memory, "hits_total", AT), Vector)
    assert isinstance(engine.instant(memory, "hits_total[1m]", AT), Matrix)
    assert isinstance(engine.range(memory, "1", 0, AT, 60_000), Matrix)


def test_a_query_that_touches_too_many_samples_is_stopped(memory):
    with pytest.raises(QueryLimitError, match="too many samples"):
        Engine(max_samples=100).range(memory, "rate(hits_total[5m])", 0, AT, 1000)

    Engine(max_samples=100).instant(memory, "hits_total", AT)


def test_a_query_past_its_deadline_is_stopped(memory):
    with pytest.raises(QueryLimitError, match="timed out"):
        Engine(timeout_seconds=0.0).instant(memory, "sum(hits_total)", AT)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("histogram_count(x)", "native histograms"),
        ("rate(x[5m] anchored)", "anchored"),
        ("x smoothed", "smoothed"),
        ("x[5m + 1m]", "arithmetic in durations"),
        ("rate(x[step() * 2])", "arithmetic in durations"),
        ("x offset -(5m)", "arithmetic in durations"),
        ("x </ 5", "native histograms"),
        ("x trim_upper 5", "native histograms"),
        ("x[(5m)]", "arithmetic in durations"),
        ("x[1m:10s + 5s]", "arithmetic in durations"),
        ("x offset (1m * 2)", "arithmetic in durations"),
        ("x offset step()", "arithmetic in durations"),
        ("x offset - max_of(step(), 5m)", "arithmetic in durations"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(query, named):
    with pytest.raises(UnsupportedError, match=named):
        Engine().instant(MemoryQueryable([]), query, AT)


@pytest.mark.parametrize("name", sorted(EXPERIMENTAL))
def test_what_prometheus_refuses_without_a_flag_is_refused_by_name(name):
    query = f"{name}(1, x)" if name.startswith("limit") else f"{name}()"
    takes = {"sort": "(x, 'a')", "ts_of": "(x[5m])", "mad": "(x[5m])"}
    takes |= {"double": "(x[5m], 0.1, 0.1)", "histogram": "(x, 'q', 0.5)"}
    takes |= {"integral": "(x[5m])", "info": "(x)", "m": "(1, 2)"}
    takes |= {"start_timestamp": "(x)"}
    for start, given in takes.items():
        if name.startswith(start):
            query = name + given
            break

    with pytest.raises(QuerySyntaxError, match=re.escape(f"{name}() is not enabled")):
        parse(query)
    # As the name of a series it is as good as any other.
    assert isinstance(parse(f"{name}{{}}"), Selector) or name.startswith("limit")


@pytest.mark.parametrize("modifier", ["fill", "fill_left", "fill_right"])
def test_a_value_for_what_has_no_match_is_refused_by_name(modifier):
    with pytest.raises(QuerySyntaxError, match="binop fill modifiers are not enabled"):
        parse(f"x + {modifier}(0) y")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "sum(",
        "nope(x)",
        "rate(x)",
        "sum(1)",
        '"a" + 1',
        "1 > 2",
        "x and 1",
        'x{a=~"("}',
        'x{a="b" or c="d"}',
        "x @ NaN",
        "x @ 1e30",
        "topk(x)",
        "x[5m][1m:]",
        "x offset 5q",
        "1e1000",
        "1__0",
        "x[0]",
        "x[300y]",
        "x[-5m]",
        "x[5m:0s]",
        "x offset 300y",
    ],
)
def test_what_is_no_promql_is_said_to_be_none(query):
    with pytest.raises(QuerySyntaxError):
        Engine().instant(MemoryQueryable([]), query, AT)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1_000", 1000.0),
        ("1_0.5", 10.5),
        ("010", 8.0),
        ("08", 8.0),
        ("0x1F", 31.0),
        (".5e1", 5.0),
    ],
)
def test_numbers_are_read_as_go_reads_them(written, value):
    assert Engine().instant(MemoryQueryable([]), written, AT) == Scalar(value)


def test_a_pattern_may_quote_its_text():
    memory = MemoryQueryable(
        [series("x", [1] * 41, path="a.b"), series("x", [1] * 41, path="aXb")]
    )

    found = Engine().instant(memory, r'x{path=~"\\Qa.b\\E"}', AT).samples

    assert [dict(labels)["path"] for labels, _ in found] == ["a.b"]


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ('{"my.metric", "a.b"="x"}', {"__name__": "my.metric", "a.b": "x", "é": "1"}),
        (r'{"my\x2emetric", "\xc3\xa9"="1"} * 1', {"a.b": "x", "é": "1"}),
        ('sum by ("a.b") ({"my.metric"})', {"a.b": "x"}),
        (r'sum without ("\xc3\xa9") ({"a.b"=~"x|y"})', {"a.b": "x"}),
        (
            r'{"my.metric"} * on ("a.b") group_left ("\xc3\xa9") {"my.metric"}',
            {"a.b": "x", "é": "1"},
        ),
        ('absent({"no.metric", "a.b"="x"})', {"a.b": "x"}),
    ],
)
def test_names_may_be_quoted_and_of_any_characters(query, labels):
    memory = MemoryQueryable([series("my.metric", [1] * 41, **{"a.b": "x", "é": "1"})])

    ((found, _),) = Engine().instant(memory, query, AT).samples

    assert dict(found) == labels


def test_a_range_query_of_windows_or_text_is_refused(memory):
    for query in ("hits_total[5m]", "hits_total[5m:1m]", '"text"'):
        with pytest.raises(QuerySyntaxError, match="for range query"):
            Engine().range(memory, query, 0, AT, 60_000)
    with pytest.raises(QuerySyntaxError, match="step"):
        Engine().range(memory, "hits_total", 0, AT, 0)


def test_series_that_become_one_are_refused_in_the_words_of_prometheus(memory):
    with pytest.raises(QueryError, match="vector cannot contain metrics with the same"):
        Engine().instant(
            memory, 'label_replace(hits_total, "instance", "", "", "")', AT
        )


def test_names_go_at_once_unless_their_removal_is_delayed():
    memory = MemoryQueryable([series("a", [1] * 41), series("b", [2] * 41)])
    query = 'sum(abs({__name__=~"a|b"}))'

    with pytest.raises(QueryError, match="same labelset"):
        Engine().instant(memory, query, AT)
    assert Engine(delayed_name_removal=True).instant(memory, query, AT).samples == [
        ((), 3.0)
    ]


def test_a_store_is_asked_for_the_window_with_its_left_edge_open():
    store = Given()

    Engine(lookback_seconds=300).instant(store, "x", AT)
    Engine().instant(store, "rate(x[1m] offset 1m)", AT)
    Engine().range(store, "sum_over_time(x[1m])", AT, AT + 60_000, 30_000)

    assert [(start, end) for _, start, end in store.asked] == [
        (AT - 300_000, AT),
        (AT - 120_000, AT - 60_000),
        (AT - 60_000, AT + 60_000),
    ]
    assert store.asked[0][0] == (Matcher("__name__", "=", "x"),)


def test_absent_cells_and_stale_cells_mean_what_they_mean():
    labels = [labels_of({"__name__": "x", "row": str(row)}) for row in range(3)]
    times = np.array([0, 10_000, 20_000], np.int64)
    values = np.array([[1.0, 99.0, 3.0], [1.0, 2.0, 99.0], [99.0, 99.0, 99.0]])
    state = np.array(
        [[VALUE, ABSENT, VALUE], [VALUE, VALUE, STALE_CELL], [ABSENT] * 3], np.uint8
    )
    store = Given(SeriesGroup(labels, times, values, state))

    def by_row(query, at):
        samples = Engine().instant(store, query, at).samples
        return {dict(labels)["row"]: value for labels, value in samples}

    assert by_row("x", 15_000) == {"0": 1.0, "1": 2.0}
    assert by_row("x", 25_000) == {"0": 3.0}
    assert by_row("sum_over_time(x[1m])", 25_000) == {"0": 4.0, "1": 3.0}


def test_an_empty_group_gives_nothing():
    nothing = SeriesGroup([], np.empty(0, np.int64), np.empty((0, 0)))
    bare = SeriesGroup([(("__name__", "x"),)], np.empty(0, np.int64), np.empty((1, 0)))
    for query in ("x", "rate(x[5m])", "sum(x)", "quantile_over_time(0.5, x[5m])"):
        assert Engine().instant(Given(nothing, bare), query, AT).samples == []
        assert Engine().range(Given(nothing, bare), query, 0, AT, 1000).series == []


def test_a_range_answers_as_its_instants_do(memory):
    for query in (
        "rate(hits_total[2m])",
        "sum by (job) (hits_total)",
        "topk(2, hits_total)",
    ):
        matrix = Engine().range(memory, query, 300_000, 600_000, 60_000)
        for index, at in enumerate(range(300_000, 600_001, 60_000)):
            now = dict(Engine().instant(memory, query, at).samples)
            assert {
                labels: float(values[index]) for labels, _, values in matrix.series
            } == pytest.approx(now)


def test_one_parsed_expression_is_shared():
    assert parse("sum(rate(x[5m]))") is parse("sum(rate(x[5m]))")


def test_sums_lose_nothing_whatever_the_order():
    rows = [1e100, 2.0, -1e100, 8.0]
    memory = MemoryQueryable(
        series("x", [value] * 41, row=str(index)) for index, value in enumerate(rows)
    )

    assert Engine().instant(memory, "sum(x)", AT).samples == [((), 10.0)]
    assert Engine().instant(memory, "avg(x)", AT).samples == [((), 2.5)]


def test_averages_of_values_near_the_limit_do_not_overflow():
    memory = MemoryQueryable(
        series("x", [1.5e308] * 41, row=str(index)) for index in range(3)
    )

    assert Engine().instant(memory, "avg(x)", AT).samples[0][1] == pytest.approx(
        1.5e308
    )
    average = Engine().instant(memory, "avg_over_time(x[5m])", AT).samples[0][1]
    assert average == pytest.approx(1.5e308)


def test_the_stale_marker_is_known_by_its_bits():
    assert is_stale(np.array([STALE, math.nan, 1.0])).tolist() == [True, False, False]
    assert metric_name((("__name__", "x"),)) == "x"
    assert metric_name(()) == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (-0.0, "-0"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (1e-6, "0.000001"),
        (1.25e-7, "1.25e-07"),
        (math.nan, "NaN"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
    ],
)
def test_numbers_are_written_as_go_writes_them(value, text):
    assert format_float(value) == text


def test_labels_made_of_numbers_have_no_exponent():
    assert format_plain(1e22) == "10000000000000000000000"
    assert format_plain(-math.inf) == "-Inf"


def test_matchers_match_whole_values_and_any_character():
    assert Matcher("a", "=~", "x.*y").matches("x\ny")
    assert not Matcher("a", "=~", "x").matches("xy")
    assert Matcher("a", "!~", "x").matches("xy")
    assert Matcher("a", "!=", "x").matches("")
    assert str(Matcher("a", "!=", "x")) == 'a!="x"'


def test_strings_are_read_as_go_reads_them():
    assert unescape(r'"a\tb\x41\101A\U00000041\"\\"') == 'a\tbAAAA"\\'
    assert unescape(r"`a\t`") == r"a\t"
    assert unescape(r'"\xc3\xa9"') == "é"
    assert unescape(r'"\xc5"') == "\udcc5"
