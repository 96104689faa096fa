"""How large and how deep an expression may be: counted before a parser sees it."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest
from tests.support.effort import at_most

from watchroom.errors import ConfigError, QueryError, QuerySyntaxError
from watchroom.formats import rulefile
from watchroom.promql import bounds
from watchroom.promql.engine import Engine
from watchroom.promql.memory import MemoryQueryable, Series
from watchroom.promql.parse import parse

# Each of these took the process down, gave no answer for seconds, or an internal error.
DEEP = {
    "calls": "abs(" * 8000 + "up" + ")" * 8000,
    "aggregations": "sum(" * 13_000 + "up" + ")" * 13_000,
    "subqueries": "max_over_time(" * 2900 + "up" + "[1m:1s])" * 2900,
    "brackets that nothing closes": "(" * 16_000,
    "braces": "{" * 60_000,
    "windows": "x" + "[" * 60_000,
    "signs": "-" * 16_000 + "1",
    "signs apart": "- \n" * 16_000 + "1",
    "powers": "1" + "^1" * 8000,
    "powers of signs": "1" + "^-1" * 4000,
    "signs after a comma": "clamp(1, " + "-" * 101 + "1)",
    "signs behind comments": "-#\n" * 101 + "1",
    "signs behind bool": "1 == bool " + "-" * 101 + "1",
    "signs behind words": "1 and " + "-" * 101 + "1",
}
WIDE = {
    "sums": "up" + "+up" * 20_000,
    "sets": "up" + " unless up" * 5000,
    "comparisons": "1" + "> bool 1" * 5000,
}


@pytest.mark.parametrize("name", DEEP)
def test_what_is_nested_too_deeply_is_refused_before_a_parser_sees_it(name):
    with at_most(1), pytest.raises(QuerySyntaxError, match="100 levels"):
        parse(DEEP[name])


@pytest.mark.parametrize("name", WIDE)
def test_what_has_too_many_operators_is_refused(name):
    with pytest.raises(QuerySyntaxError, match="1000 operators"):
        parse(WIDE[name])


def test_what_is_too_long_is_refused_whatever_it_says():
    with pytest.raises(QuerySyntaxError, match="65537 bytes, 65536 are allowed"):
        parse("x" * 65_537)
    with pytest.raises(QuerySyntaxError, match="bytes"):
        parse('"' + "é" * 33_000 + '"')


def test_what_is_within_the_bounds_is_answered():
    for query in (
        "(" * 100 + "1" + ")" * 100,
        "-" * 100 + "1",
        "1" + "^1" * 100,
        "1" + "+1" * 1000,
        "up" + " or up" * 1000,
        "max_over_time(" * 99 + "up" + "[1m:1m])" * 99,
        # Strings and comments hold no operators, matchers are none.
        '"' + "-(" * 30_000 + '"',
        "# " + "-(" * 30_000 + "\n1",
        "{" + "a!='b'," * 5000 + "c='d'}",
        # What a comma or a weaker operator ends is not nested in what comes after it.
        "1" + "^1 * 1" * 400,
        "-1" + " + -1" * 400,
    ):
        bounds.check(query)
        Engine().instant(MemoryQueryable([]), query, 0)


def test_evaluation_that_nests_deeper_than_python_can_is_an_error_with_a_name():
    query = "(a or b and c == d + e * f + " * 99 + "g" + ")" * 99

    with pytest.raises(QueryError, match="nested too deeply"):
        Engine().instant(MemoryQueryable([]), query, 0)


def test_the_bounds_take_one_pass_over_any_text():
    for text in ('"\\' * 30_000, "'\\''" * 16_000, "`" * 65_536, "0x" * 30_000):
        with at_most(1):
            bounds.check(text)


@pytest.mark.parametrize("text", [DEEP["signs"], DEEP["calls"], WIDE["sums"]])
def test_a_rule_file_that_is_deeper_is_refused_by_file_and_line(text):
    rules = f"groups:\n- name: g\n  rules:\n  - record: a\n    expr: '{text}'\n"

    with pytest.raises(ConfigError, match=r"r\.yml:5.*(levels|operators)"):
        rulefile.load(rules, "r.yml")


@pytest.mark.parametrize(
    "expr",
    ["limitk(1, up)", "sort_by_label(up, 'job')", "a + fill(0) b", "max_of(1, 2)"],
)
def test_a_rule_that_prometheus_would_not_load_is_refused_by_name(expr):
    rules = f'groups:\n- name: g\n  rules:\n  - record: a\n    expr: "{expr}"\n'

    with pytest.raises(ConfigError, match="not enabled"):
        rulefile.load(rules, "r.yml")


PIECES = (
    *("up", "(", ")", "[5m]", "[5m:1m]", "[", "{", "}", '"1"', '=~".*"', ",", "+"),
    *("-", "*", "/", "^", "%", "and", "or", "==bool", "> bool", "sum", "by (job)"),
    *("rate(", "abs(", "max_over_time(", "offset 5m", "offset -1m", "@ 0", "@ end()"),
    *("1e5", "0x1F", "5m", "'b'", "`c`", "#x\n", "topk(2,", "quantile(0.5,", "on(job)"),
    *("histogram_quantile(0.9,", "group_left", "NaN", "Inf", "\\", '"', "\x00", "é"),
    *("1__0", '{"up"}', "absent(", "vector(", "scalar(", "time()", "clamp(", "sort("),
    *("\ud800", "@ 1e30", "1e999", "[0]", "step()", "limitk(1,", "fill(0)", "smoothed"),
)


def test_no_text_ends_in_anything_but_an_answer_or_a_clear_error():
    chance, answered = random.Random(35), 0
    times = np.arange(20, dtype=np.int64) * 15_000
    memory = MemoryQueryable(
        Series((("__name__", "up"), ("le", str(i))), times, times * 1.0)
        for i in range(3)
    )
    for _ in range(4000):
        pieces = [chance.choice(PIECES) for _ in range(chance.randint(1, 12))]
        text = chance.choice([" ", ""]).join(pieces)
        with contextlib.suppress(QueryError):
            Engine().range(memory, text, 0, 300_000, 30_000)
            answered += 1
    assert answered > 20
