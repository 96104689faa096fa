"""Events in the time range of a chart: alerts, deployments, the monitor's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.monitor.console.overview.readings import read_history
from watchroom.promql.model import Matcher
from watchroom.urgency import HEARTBEAT, is_drill

if TYPE_CHECKING:
    from watchroom.monitor.console.dashboards.ranges import TimeRange
    from watchroom.monitor.services import Services
    from watchroom.promql.model import Queryable

_MOST = 60
_SHOWN = [
    Matcher("alertstate", "=", "firing"),
    Matcher("severity", "!=", "none"),
    Matcher("alertname", "!=", HEARTBEAT),
]


class Mark(NamedTuple):
    """A moment or a span of time in a chart.

    Attributes:
        kind: ``alert``, ``drill``, ``deploy`` or ``watch``.
        until: When it ended; the same as `at` for a moment.
        link: To its page, from the root, or "".
    """

    kind: str
    at: float
    until: float
    text: str
    link: str


def read_marks(
    queryable: Queryable, span: TimeRange, gap_ms: int, runbooks: frozenset[str]
) -> list[Mark]:
    """Return when alerts fired, oldest first; the newest when there are too many."""
    seconds = (span.end_ms - span.start_ms) // 1000
    history = read_history(queryable, span.end_ms, gap_ms, seconds=seconds, only=_SHOWN)
    marks = []
    for change in history:
        if change.state != "firing":
            continue
        marks.append(
            Mark(
                "drill" if is_drill(change.pairs) else "alert",
                change.at_ms / 1000,
                (change.at_ms + change.lasted_ms) / 1000,
                change.alert,
                f"runbooks/{change.alert}" if change.alert in runbooks else "",
            )
        )
    return marks[:_MOST][::-1]


def own_marks(services: Services, span: TimeRange) -> list[Mark]:
    """Return deployments and the monitor's own events in the time range."""
    marks = [Mark("watch", services.started, services.started, "monitor started", "")]
    reloads = services.reloads
    if reloads.good_at > services.started + 5:
        marks.append(
            Mark("watch", reloads.good_at, reloads.good_at, "config loaded", "")
        )
    for deploy in services.oncall.deploys.between(span.start_ms, span.end_ms):
        by = f" by {deploy.author}" if deploy.author else ""
        at = deploy.at_ms / 1000
        marks.append(Mark("deploy", at, at, f"{deploy.version}{by}", ""))
    return [
        mark
        for mark in marks
        if span.start_ms <= mark.at * 1000 <= span.end_ms + span.step_ms
    ]
