"""The time in the URL, and what is chosen, filled into queries."""

from __future__ import annotations

from datetime import datetime

import pytest
from multidict import MultiDict

from watchroom.formats.grafana import Dashboard, Templating, Variable
from watchroom.monitor.console.dashboards.ranges import (
    POINTS,
    PRESETS,
    RangeError,
    parse,
)
from watchroom.monitor.console.dashboards.variables import VariableError, chosen, filled

NOW = 1_700_000_000.0


def span(points=POINTS, scrape=5.0, **query):
    names = {"start": "from", "end": "to"}
    return parse({names[k]: v for k, v in query.items()}, NOW, scrape, points)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_drawn_in_at_most_three_hundred_points(name):
    found = span(start=f"now-{name}", end="now")
    count = (found.end_ms - found.start_ms) // found.step_ms
    assert found.live
    assert found.preset == name
    assert 100 <= count <= POINTS
    assert found.end_ms % min(found.step_ms, 60_000) == 0
    assert NOW * 1000 - found.end_ms <= 60_000
    assert abs(found.end_ms - found.start_ms - PRESETS[name] * 1000) <= found.step_ms
    assert found.rate_ms >= 4 * found.scrape_ms
    assert found.rate_ms >= found.step_ms + found.scrape_ms


def test_no_step_is_shorter_than_a_scrape():
    assert span(start="now-1m", scrape=15.0).step_ms == 15_000


def test_absolute_times_are_milliseconds_or_dates():
    start, end = int(NOW - 7200) * 1000, int(NOW - 3600) * 1000
    found = span(start=str(start), end=str(end))
    assert not found.live
    assert found.preset == ""
    assert abs(found.start_ms - start) <= found.step_ms
    zoned = datetime.fromtimestamp(NOW - 7200).astimezone().isoformat()
    naive = datetime.fromtimestamp(NOW - 7200).isoformat()  # noqa: DTZ006 - as browsers send it
    assert span(start=zoned).start_ms == span(start=naive).start_ms


def test_the_future_is_cut_off():
    assert span(start="now-1h", end=str(int(NOW + 9e5) * 1000)).end_ms <= NOW * 1000


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("yesterday", "now"),
        ("now-1y", "now"),
        ("now", "now-1h"),
        ("now-9999d", "now"),
        ("99999999999999999999", "now"),
        ("2026-13-99", "now"),
        ("\u0661", "now"),
    ],
)
def test_what_is_no_time_is_refused_with_what_to_write(start, end):
    with pytest.raises(RangeError):
        span(start=start, end=end)


def board(*variables):
    return Dashboard("u", "t", templating=Templating(list(variables)))


JOB = Variable(
    "job", "query", multi=True, includeAll=True, allValue=".+",
    current={"value": ["$__all"]},
)  # fmt: skip


def fill(expr, dashboard, *query):
    values = chosen(dashboard, MultiDict(query))
    return filled(expr, dashboard, values, span(start="now-1h"))


def test_all_is_the_files_pattern_and_some_are_alternatives():
    expr = 'up{job=~"$job"}'
    assert fill(expr, board(JOB)) == 'up{job=~".+"}'
    assert fill(expr, board(JOB), ("var-job", "app")) == 'up{job=~"app"}'
    both = ("var-job", "a.b"), ("var-job", "c")
    assert fill(expr, board(JOB), *both) == 'up{job=~"(a\\\\.b|c)"}'
    assert fill("up{job=~'${job}'}", board(JOB)) == "up{job=~'.+'}"
    assert fill("up{job=~'[[job]]'}", board(JOB)) == "up{job=~'.+'}"


def test_a_value_of_the_url_cannot_end_its_string():
    evil = '"} or vector(1) #'
    for one in (JOB, Variable("job", "textbox", query="x")):
        out = fill('up{job=~"$job"}', board(one), ("var-job", evil))
        inside = out.removeprefix('up{job=~"').removesuffix('"}')
        assert '"' not in inside.replace('\\"', "")


def test_ranges_of_grafana_become_durations():
    out = fill("rate(m[$__rate_interval]) + m[$__interval] + $__range_s", board())
    assert out == "rate(m[20000ms]) + m[15000ms] + 3600"


def test_an_unknown_variable_is_named():
    with pytest.raises(VariableError, match=r"\$nobody"):
        fill("m{x='$nobody'}", board(JOB))


def test_variables_of_the_file_have_its_values():
    custom = Variable("env", "custom", query="prod, test", current={"value": "test"})
    constant = Variable("ns", "constant", query="shop")
    made = board(custom, constant)
    assert chosen(made, MultiDict()) == {"env": ("test",), "ns": ("shop",)}
    assert fill('m{e="$env",n="$ns"}', made) == 'm{e="test",n="shop"}'
