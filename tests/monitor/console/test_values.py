"""Numbers and times are said as people say them."""

from __future__ import annotations

import re
import time

import pytest

from watchroom.monitor.console.values import (
    clock,
    digits,
    limit_words,
    quantity,
    reach_url,
)
from watchroom.units import ago, counted, span


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (0.34, "s", "340 ms"),
        (2, "s", "2 s"),
        (0.9996, "s", "1 s"),
        (0.0000123, "s", "12.3 µs"),
        (0, "s", "0 ms"),
        (1500, "ms", "1.5 s"),
        (300, "s", "5 min"),
        (41.4 * 86400, "s", "41.4 days"),
        (0.04217, "percentunit", "4.22%"),
        (71, "percent", "71%"),
        (512 * 2**20, "bytes", "512 MiB"),
        (1500, "decbytes", "1.5 kB"),
        (5e5, "Bps", "500 kB/s"),
        (3.217, "reqps", "3.22 requests/s"),
        (1234, "short", "1\u202f234"),
        (12345, "none", "12.3 k"),
        (-2.5, "short", "−2.5"),
        (41, "d", "41 days"),
        (1, "bool_yes_no", "yes"),
        (7, "suffix:orders", "7 orders"),
    ],
)
def test_values_have_three_digits_and_a_unit_people_say(value, unit, said):
    assert str(quantity(value, unit)) == said


def test_a_number_can_be_tapped_and_nothing_else_becomes_a_link():
    assert reach_url("+49 (30) 12-34") == "tel:+49301234"
    assert reach_url("ops@example.org") == "mailto:ops@example.org"
    assert reach_url("https://chat.example/ops") == "https://chat.example/ops"
    others = ("javascript:alert(1)", "room 12", "ask Sue", "a@b?cc=c@d.e")
    assert [reach_url(text) for text in others] == [""] * len(others)


def test_an_instant_of_another_day_says_which():
    assert re.fullmatch(r"\d\d:\d\d:\d\d", clock(round(time.time() * 1000)))
    assert re.fullmatch(r"\d\d \w+ \d\d:\d\d:\d\d", clock(1_700_000_000_000))


def test_digits_are_never_an_exponent():
    assert [digits(x) for x in (0, 1e-7, 99.96, 0.1 + 0.2, float("inf"))] == [
        "0",
        "0.0000001",
        "100",
        "0.3",
        "∞",
    ]


@pytest.mark.parametrize(
    ("limit", "unit", "above", "said"),
    [
        (2, "s", True, "limit 2 s"),
        (0.7, "percentunit", False, "at least 70%"),
        (0, "short", True, "none allowed"),
        (0.5, "short", True, "none allowed"),
        (1, "short", True, "limit 1"),
        (None, "s", True, "no limit"),
    ],
)
def test_limits_are_words(limit, unit, above, said):
    assert limit_words(limit, unit, above_is_bad=above) == said


def test_spans_have_at_most_two_units():
    spans = [span(s) for s in (0, 59, 60, 61, 3599, 7260, 273600)]
    assert spans == [
        "0 s",
        "59 s",
        "1 min",
        "1 min 1 s",
        "59 min",
        "2 h 1 min",
        "3 d 4 h",
    ]
    assert ago(0.2) == "now"
    assert ago(3) == "3 s ago"


def test_one_is_no_plural_and_a_count_is_whole():
    said = [counted(n, "run") for n in (0, 1, 1.07, 2, 1204.4)]
    assert said == ["0 runs", "1 run", "1 run", "2 runs", "1,204 runs"]
    assert counted(2, "entry", "entries") == "2 entries"
