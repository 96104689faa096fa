"""Where a panel's limit is: one answer for tiles, charts and numbers."""

from __future__ import annotations

import pytest

from watchroom.formats.grafana import (
    Dashboard,
    Defaults,
    FieldConfig,
    Panel,
    Step,
    Target,
    Thresholds,
    limit_of,
)
from watchroom.monitor.console.dashboards.charting import shown_limit
from watchroom.monitor.console.overview.panels import panels_of


def panel(*colors, mode="absolute", decimals=None):
    steps = [
        Step(color, 20.0 * n + 20 if n else None) for n, color in enumerate(colors)
    ]
    defaults = Defaults(thresholds=Thresholds(mode, steps), decimals=decimals)
    return Panel(1, targets=[Target("A", "m")], fieldConfig=FieldConfig(defaults))


@pytest.mark.parametrize(
    ("colors", "value", "above"),
    [
        (("green", "red"), 40, True),
        (("green", "orange", "red"), 60, True),
        (("red", "orange", "green"), 40, False),
        (("dark-red", "semi-dark-red", "green"), 60, False),
        (("green", "yellow", "orange"), 40, True),
        (("#73BF69", "#FF9830", "#F2495C"), 60, True),
        (("rgba(245, 54, 54, 0.9)", "rgb(50, 172, 45)"), 40, False),
        (("green",), None, True),
        (("red", "red"), None, False),
        ((), None, True),
    ],
)
def test_a_limit_is_where_red_begins_or_ends(colors, value, above):
    found = limit_of(panel(*colors))
    assert (found.value, found.above) == (value, above)
    assert shown_limit(panel(*colors)) == found
    (tile,) = panels_of(Dashboard("u", "t", panels=[panel(*colors)]))
    assert (tile.limit, tile.above_is_bad) == (value, above)


def test_percentages_of_a_range_are_no_limit():
    assert limit_of(panel("green", "red", mode="percentage")).value is None


@pytest.mark.parametrize(
    ("colors", "decimals", "most"),
    [
        (("green", "red"), 0, 39),
        (("green", "red"), None, 40),
        (("red", "green"), 0, 40),
    ],
)
def test_of_whole_things_the_last_that_is_right_is_said(colors, decimals, most):
    assert limit_of(panel(*colors, decimals=decimals)).most == most


def test_a_value_at_the_limit_is_over_it_upwards_and_right_downwards():
    up, down = limit_of(panel("green", "red")), limit_of(panel("red", "green"))
    assert [up.state(v) for v in (39, 40, 41)] == ["ok", "over", "over"]
    assert [down.state(v) for v in (39, 40, 41)] == ["over", "ok", "ok"]
    assert limit_of(panel("green")).state(1) == "none"
