"""A tile's state follows from its alerts, its reading and its limit."""

from __future__ import annotations

import math

import pytest
from tests.support.plans import built, planned

from watchroom.formats import grafana
from watchroom.monitor.console.overview.panels import VitalPanel, panels_of
from watchroom.monitor.console.overview.readings import PanelReading
from watchroom.monitor.console.overview.spark import spark
from watchroom.monitor.console.overview.tiles import tile
from watchroom.monitor.rules.views import AlertView

NOW = 1_000_000_000
ERRORS = VitalPanel(
    1, "Errors", "", "percentunit", 0.01, True, "a", "b", "HighErrorRate", True
)
HITS = VitalPanel(2, "Hits", "", "percentunit", 0.7, False, "a", "b", "", True)


def alert(state, since_s=60):
    labels = (("alertname", "HighErrorRate"), ("severity", "critical"))
    return AlertView(labels, (), state, NOW - since_s * 1000, 0.5, None)


def made(panel, reading, *alerts, **options):
    return tile(panel, reading, alerts, [], now_ms=NOW, stale_ms=15_000, fired=options)


def reading(value, **changes):
    return PanelReading(value, (), 1, True, NOW - 3000)._replace(**changes)


@pytest.mark.parametrize(
    ("panel", "value", "state"),
    [
        (ERRORS, 0.001, "ok"),
        (ERRORS, 0.0085, "close"),
        (ERRORS, 0.02, "close"),
        (HITS, 0.93, "ok"),
        (HITS, 0.8, "close"),
        (HITS, 0.5, "close"),
    ],
)
def test_without_an_alert_the_limit_decides(panel, value, state):
    assert made(panel, reading(value)).state == state


def test_beyond_the_limit_without_an_alert_says_so():
    assert made(ERRORS, reading(0.02)).words == "over the limit"
    assert made(HITS, reading(0.2)).words == "under the limit"


def test_a_small_count_at_its_limit_is_not_close():
    processes = VitalPanel(3, "Web", "", "short", 1.0, False, "a", "b", "", True)
    assert made(processes, reading(1.0)).state == "ok"


def test_yes_is_never_close_to_no():
    site = VitalPanel(4, "Site", "", "bool_yes_no", 1.0, False, "a", "b", "", True)
    up, down = made(site, reading(1.0)), made(site, reading(0.0))
    assert (up.state, str(up.value), up.limit) == ("ok", "yes", "must be yes")
    assert (down.state, str(down.value), down.words) == ("close", "no", "failing")


def test_an_alert_decides_before_the_value():
    firing = made(ERRORS, reading(0.001), alert("pending"), alert("firing", 90))
    assert (firing.state, firing.words) == ("firing", "firing 1 min 30 s")
    assert made(ERRORS, reading(0.001), alert("pending", 8)).words == "pending 8 s"
    since_fired = made(ERRORS, reading(0.1), alert("firing"), HighErrorRate=NOW - 5000)
    assert since_fired.words == "firing 5 s"


def test_no_series_is_blind_and_not_calm():
    shown = made(ERRORS, reading(None, present=False, newest_ms=None))
    assert (shown.state, str(shown.value), shown.plain) == ("blind", "unknown", True)


def test_the_alert_of_blindness_leaves_the_tile_blind():
    labels = (("alertname", "RequestsUnobserved"), ("blind", "true"))
    missing = AlertView(labels, (), "firing", NOW - 60_000, 1.0, None)
    nothing = reading(None, present=False, newest_ms=None)
    shown = made(ERRORS, nothing, missing)
    assert (shown.state, shown.runbook) == ("blind", "RequestsUnobserved")
    # A limit that is broken wins over what is no longer seen.
    assert made(ERRORS, nothing, missing, alert("firing")).state == "firing"


def test_old_samples_are_blind():
    shown = made(ERRORS, reading(0.001, newest_ms=NOW - 16_000))
    assert (shown.state, shown.words) == ("blind", "no data 16 s")


def test_what_cannot_be_evaluated_is_blind():
    shown = made(ERRORS, PanelReading(error="boom"))
    assert (shown.state, shown.age) == ("blind", "cannot be evaluated")


@pytest.mark.parametrize("value", [None, math.nan])
def test_series_without_events_are_idle(value):
    shown = made(ERRORS, reading(value))
    assert (shown.state, str(shown.value)) == ("idle", "no events")


def test_not_applicable_is_what_the_build_says_and_only_without_data():
    panel = ERRORS._replace(applicable=False)
    nothing = reading(None, present=False, newest_ms=None)
    assert made(panel, nothing).state == "not applicable"
    assert made(panel, reading(0.001)).state == "ok"


def test_a_share_shown_without_digits_keeps_its_limit():
    board = grafana.load(built(planned())["grafana/watchroom-overview.json"], "g")
    limits = {panel.title: panel.limit for panel in panels_of(board)}
    assert (limits["Memory"], limits["Database connections"]) == (0.8, 0.8)
    assert (limits["Free disk space"], limits["Failed tasks"]) == (0.1, 0)


def test_what_has_no_limit_shows_its_use_and_is_not_judged():
    memory = ERRORS._replace(
        otherwise="no limit", otherwise_expr="c", otherwise_unit="bytes"
    )
    shown = made(memory, reading(None, otherwise=412.0 * (1 << 20)))
    assert (shown.state, shown.words) == ("not applicable", "no limit")
    assert (str(shown.value), shown.plain, shown.limit) == (
        "412 MiB",
        False,
        "no limit",
    )
    assert made(memory, reading(0.5)).state == "close"
    # Nothing is known at all: that is blind, and no statement about limits.
    assert made(memory, reading(None, present=False, newest_ms=None)).state == "blind"


def test_the_panel_is_read_from_the_dashboard_file():
    def steps(*pairs):
        return grafana.Thresholds(steps=[grafana.Step(c, v) for c, v in pairs])

    def panel(number, thresholds, **defaults):
        return grafana.Panel(
            id=number,
            title="t",
            targets=[grafana.Target("A", "up"), grafana.Target("B", "count(up)")],
            fieldConfig=grafana.FieldConfig(
                grafana.Defaults(unit="s", thresholds=thresholds, **defaults)
            ),
            links=[grafana.Link("Runbook", "https://w/runbooks/HighLatency")],
        )

    above = panel(1, steps(("green", None), ("orange", 1.5), ("red", 2.0)))
    below = panel(2, steps(("red", None), ("green", 0.7)), noValue="not applicable")
    plain = panel(3, None)
    found = panels_of(grafana.Dashboard("u", "t", panels=[above, below, plain]))
    assert [(p.limit, p.above_is_bad, p.applicable) for p in found] == [
        (2.0, True, True),
        (0.7, False, False),
        (None, True, True),
    ]
    assert (found[0].runbook, found[0].presence) == ("HighLatency", "count(up)")
    assert panels_of(None) == []


def test_a_sparkline_breaks_at_gaps_and_shows_the_limit():
    drawn = spark([1.0, 2.0, None, 3.0], 2.0)
    assert drawn.line.count("M") == 2
    assert drawn.limit.startswith("M0 ")
    assert drawn.dot.endswith("h0")
    empty = spark([None, math.nan], 2.0)
    assert (empty.line, empty.dot) == ("", "")
    assert empty.limit


def test_a_project_without_celery_has_nothing_to_judge_and_is_green():
    workers = VitalPanel(
        5, "Task workers", "", "short", 1.0, False, "a", "b", "", False
    )
    failed = VitalPanel(6, "Failed tasks", "", "short", 0.0, True, "a", "b", "", False)
    # The exporter counts workers at 0 whether any are owed or not.
    for panel, value in ((workers, 0.0), (workers, None), (failed, None)):
        found = made(panel, reading(value, present=False))
        assert (found.state, str(found.value)) == ("not applicable", "not configured")
    running = made(workers, reading(2.0, present=True))
    assert running.state == "ok", "what runs all the same is judged"


def test_a_count_is_whole_whatever_increase_estimates():
    tasks = VitalPanel(
        6, "Failed tasks", "", "short", 0.0, True, "a", "b", "", True, whole=True
    )
    for value, said in ((1.07, "1"), (0.4, "1"), (2.6, "3"), (0.0, "0")):
        assert str(made(tasks, reading(value)).value) == said
