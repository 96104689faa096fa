"""What rules and alerts look like from outside, after their last evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from watchroom.monitor.rules.recording import RecordRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.monitor.alert import Alert
    from watchroom.monitor.rules.alerting import ActiveAlert, AlertRule
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


class Age(NamedTuple):
    """How long ago a group was evaluated, or loaded if it has not been yet."""

    key: GroupKey
    interval_seconds: float
    seconds: float


class Evaluation(NamedTuple):
    """What one evaluation of a group did."""

    key: GroupKey
    at_ms: int
    seconds: float
    samples: int
    errors: int
    alerts: Sequence[Alert]


class Status(NamedTuple):
    """How a rule's last evaluation went."""

    health: Literal["unknown", "ok", "err"] = "unknown"
    error: str = ""
    seconds: float = 0.0
    at_ms: int | None = None


def rule_view(rule: AlertRule | RecordRule, status: Status) -> RuleView:
    """Return the current view of a rule."""
    common = (status.health, status.error, status.seconds, status.at_ms)
    if isinstance(rule, RecordRule):
        return RuleView(
            "recording", rule.name, rule.expr, 0, 0, rule.labels, (), None, (), *common
        )
    states = {alert.state for alert in rule.active.values()}
    state: Literal["inactive", "pending", "firing"] = "inactive"
    if states - {"inactive"}:
        state = "firing" if "firing" in states else "pending"
    alerts = [_alert_view(a) for a in rule.active.values() if a.state != "inactive"]
    return RuleView(
        "alerting",
        rule.identity.name,
        rule.expr,
        rule.for_ms / 1000,
        rule.keep_firing_for_ms / 1000,
        rule.identity.labels,
        rule.annotations,
        state,
        tuple(alerts),
        *common,
    )


def _alert_view(alert: ActiveAlert) -> AlertView:
    return AlertView(
        alert.labels,
        alert.annotations,
        alert.state,
        alert.active_at_ms,
        alert.value,
        alert.keep_firing_since_ms,
    )
