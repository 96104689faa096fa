"""promtool's series notation."""

import json
import math
import subprocess

import pytest

from watchroom.errors import FormatError
from watchroom.formats import series

ACCEPTED = {
    "3": [3],
    "1 2 3": [1, 2, 3],
    "5x2": [5, 5, 5],
    "0+5x3": [0, 5, 10, 15],
    "10-2x2": [10, 8, 6],
    "-1+.5x2": [-1, -0.5, 0],
    "1e3x1 5. +3": [1000, 1000, 5, 3],
    "_ 1 _x2 2": [None, 1, None, None, 2],
    "Inf -inf +Inf": [math.inf, -math.inf, math.inf],
    "0x0": [0],
}
REFUSED = ["", "x", "1+2", "1 + 2x3", "0X3", "1x", "_ x", "stalex2", "1+-1x2", "infx2"]


@pytest.mark.parametrize("text", ACCEPTED)
def test_values_unfold_step_by_step(text):
    assert list(series.parse(f"up {text}").values) == ACCEPTED[text]


def test_labels_are_sorted_and_carry_the_name():
    assert series.parse('up{b="x y",a="}"} 1').labels == (
        ("__name__", "up"),
        ("a", "}"),
        ("b", "x y"),
    )
    assert series.text_of(series.parse('up{b="1",a="2"} 1').labels) == 'up{a="2",b="1"}'


def test_stale_is_told_from_nan_and_from_no_sample():
    values = series.parse("up stale NaN _").values
    assert [series.is_stale(value) for value in values] == [True, False, False]


@pytest.mark.parametrize("text", REFUSED)
def test_other_values_are_refused_with_the_line(text):
    with pytest.raises(FormatError, match="up"):
        series.parse(f"up {text}")


@pytest.mark.parametrize("line", ["", "0+5x10", "{a='b'} 1", 'up{a="b} 1', "up"])
def test_a_line_without_a_series_is_refused(line):
    with pytest.raises(FormatError):
        series.parse(line)


def test_a_line_never_unfolds_without_bound():
    for line in ("up 0+1x9999999999", "up 0+1x200000", "up " + "0x90000 " * 3):
        with pytest.raises(FormatError, match="steps"):
            series.parse(line)


def test_the_same_series_twice_is_refused():
    with pytest.raises(FormatError, match="twice"):
        series.parse_all(['up{a="1",b="2"} 1', 'up{b="2",a="1"} 1'])


@pytest.mark.judge
@pytest.mark.parametrize(("texts", "fine"), [(ACCEPTED, True), (REFUSED[1:], False)])
def test_promtool_accepts_and_refuses_the_same(promtool, tmp_path, texts, fine):
    for text in texts:
        given = [{"series": "up", "values": text}]
        rules = {"rule_files": [], "tests": [{"interval": "1m", "input_series": given}]}
        (tmp_path / "test.yml").write_text(json.dumps(rules))
        judged = subprocess.run(
            [promtool, "test", "rules", tmp_path / "test.yml"],
            capture_output=True,
            check=False,
        )
        assert (judged.returncode == 0) is fine, text
