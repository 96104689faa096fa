"""Severity and kind of an alert → what everybody does about it: one table."""

from __future__ import annotations

from pathlib import Path

import pytest

import watchroom
from watchroom.monitor.alert import page_name
from watchroom.monitor.console.overview.verdict import verdict
from watchroom.monitor.oncall.incident import concerns
from watchroom.monitor.rules.views import AlertView
from watchroom.promql.model import labels_of
from watchroom.urgency import is_real, pages, priority_of

NOW = 1_700_000_000_000
KINDS = {
    "a rule's": {"alertname": "A"},
    "a drill's": {"alertname": "A", "job": "drill-ab12"},
    "the heartbeat": {"alertname": "Watchdog"},
    "an incident's own": {"alertname": page_name(7), "incident": "7"},
}
# severity → (real, opens an incident, pages, priority, colour of the first page)
TABLE = {
    "critical": (True, True, True, "P1", "fire"),
    "page": (True, True, True, "P1", "fire"),
    "error": (True, True, False, "P2", "fire"),
    "warning": (True, True, False, "P2", "fire"),
    "ticket": (True, True, False, "P3", "fire"),
    "": (True, True, False, "P3", "fire"),
    "info": (True, False, False, "P3", "ok"),
    "none": (False, False, False, "P3", "ok"),
}


def colour(labels):
    """Return the colour of the first page while only this alert fires."""
    view = AlertView(labels_of(labels), (), "firing", NOW - 1000, 1.0, None)
    found = verdict(
        [view],
        [],
        [],
        now_ms=NOW,
        calm_since_ms=NOW,
        waits={},
        fired={},
        runbooks=frozenset(),
        known={},
        watching=True,
    )
    return found.css


def decided(labels):
    return (
        is_real(labels),
        concerns(labels),
        pages(labels),
        priority_of(labels),
        colour(labels),
    )


@pytest.mark.parametrize("severity", TABLE)
@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_the_monitor_answers_alike(severity, kind):
    labels = KINDS[kind] | ({"severity": severity} if severity else {})
    real, opens, wakes, priority, css = TABLE[severity]
    if kind in {"a drill's", "the heartbeat"}:
        real, opens, wakes, css = False, False, False, "ok"
    if kind == "an incident's own":
        opens = False  # it has one
    assert decided(labels) == (real, opens, wakes, priority, css)


@pytest.mark.parametrize(
    ("said", "counts"), [("P1", "P1"), ("P3", "P3"), ("none", "P2"), ("P9", "P2")]
)
def test_a_priority_that_an_alert_says_wins_over_its_severity(said, counts):
    labels = {"severity": "warning", "priority": said}
    assert priority_of(labels) == counts
    assert pages(labels) == (counts == "P1")


def test_the_job_of_drills_is_written_once():
    root = Path(watchroom.__file__).parent
    written = [
        f"{path.relative_to(root)}: {line.strip()}"
        for path in root.rglob("*.py")
        for line in path.read_text().splitlines()
        if "drill-" in line and "``" not in line
    ]
    assert written == ['urgency.py: DRILL_JOB = "drill-"']
