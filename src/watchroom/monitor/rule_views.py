"""What rules and alerts look like from outside, after their last evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.monitor.alerts import Alert
    from watchroom.promql.model import Labels


class GroupKey(NamedTuple):
    """Names a rule group."""

    file: str
    name: str


class AlertView(NamedTuple):
    """An alert as /api/v1/alerts shows it."""

    labels: Labels
    annotations: Labels
    state: Literal["pending", "firing", "inactive"]
    active_at_ms: int
    value: float
    keep_firing_since_ms: int | None


class RuleView(NamedTuple):
    """A rule as /api/v1/rules shows it (durations in seconds)."""

    type: Literal["alerting", "recording"]
    name: str
    query: str
    duration: float
    keep_firing_for: float
    labels: Labels
    annotations: Labels
    state: Literal["inactive", "pending", "firing"] | None
    alerts: Sequence[AlertView]
    health: Literal["unknown", "ok", "err"]
    last_error: str
    evaluation_seconds: float
    last_evaluation_ms: int | None


class GroupView(NamedTuple):
    """A group as /api/v1/rules shows it."""

    key: GroupKey
    interval_seconds: float
    limit: int
    rules: Sequence[RuleView]
    evaluation_seconds: float
    last_evaluation_ms: int | None


class Evaluation(NamedTuple):
    """What one evaluation of a group did."""

    key: GroupKey
    at_ms: int
    seconds: float
    samples: int
    errors: int
    alerts: Sequence[Alert]
