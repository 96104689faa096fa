"""An alerting rule's state machine: inactive, pending, firing, resolved.

The transitions are Prometheus' own (compliance suite, `alert_generator`). Two things
are ours. Nothing ends while the data of a gap is missing (`EvaluationState.holding`),
and time during which no rule was evaluated does not count as pending
(`AlertRule.shift`).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, NamedTuple

from watchroom.errors import ConfigError, NotSupportedError, WatchroomError
from watchroom.monitor.templates import Context, Template, TemplateSyntaxError
from watchroom.promql.model import drop_name, labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from watchroom.promql.model import Labels

RESOLVED_RETENTION_MS = 15 * 60 * 1000
"""How long a resolved alert is remembered, as in Prometheus."""

MAX_ALERTS = 10_000
"""The most series that an alerting rule may give; nobody reads more alerts."""


class RuleError(WatchroomError):
    """A rule's result cannot be used."""


class Identity(NamedTuple):
    """What makes a rule the same rule in another version of its file.

    Attributes:
        nth: Counts rules that are equal in the rest.
    """

    file: str
    group: str
    name: str
    labels: Labels
    nth: int


class EvaluationState(NamedTuple):
    """The moment of an evaluation, and what the monitor missed before it.

    Attributes:
        at_ms: Now.
        holding: Absence proves nothing yet: the rule's windows are not full again.
        settled: Targets had time to be scraped again, so a new alert may fire.
        step_ms: How long ago the rule was evaluated last.
    """

    at_ms: int
    holding: bool = False
    settled: bool = True
    step_ms: int = 0


@dataclasses.dataclass(slots=True)
class ActiveAlert:
    """One alert of one rule, from its first sight to 15 minutes after its end."""

    labels: Labels
    annotations: Labels
    value: float
    state: Literal["pending", "firing", "inactive"]
    active_at_ms: int
    fired_at_ms: int | None = None
    resolved_at_ms: int | None = None
    keep_firing_since_ms: int | None = None

    def times(self) -> tuple[object, ...]:
        """Return what has to be on disk before anybody acts on it."""
        return (
            self.state,
            self.active_at_ms,
            self.fired_at_ms,
            self.resolved_at_ms,
            self.keep_firing_since_ms,
        )


class Step(NamedTuple):
    """What one evaluation did to a rule's alerts.

    Attributes:
        changed: Their state or a time of it moved.
        gone: Forgotten.
        error: Why all of them ended, if the rule's limit did that.
    """

    changed: list[ActiveAlert]
    gone: list[ActiveAlert]
    error: str


def check_templates(texts: Mapping[str, str]) -> None:
    """Read the templates of labels or annotations.

    Raises:
        ConfigError: One does not parse; its field is the label's name.
        NotSupportedError: Prometheus reads it, and we do not.
    """
    for name, text in texts.items():
        try:
            Template(text, name)
        except TemplateSyntaxError as error:
            kind = NotSupportedError if error.unsupported else ConfigError
            raise kind(error.what, field=name) from None


class AlertRule:
    """One alerting rule; evaluated by one thread at a time.

    Args:
        identity: What it is.
        expr: The expression as written.
        for_ms: How long it must hold before it fires.
        keep_firing_for_ms: How long it keeps firing without a match.
        annotations: Texts, templates.
    """

    def __init__(
        self,
        identity: Identity,
        expr: str,
        *,
        for_ms: int,
        keep_firing_for_ms: int,
        annotations: Mapping[str, str],
    ) -> None:
        self.identity = identity
        self.expr = expr
        self.for_ms = for_ms
        self.keep_firing_for_ms = keep_firing_for_ms
        self.annotations = tuple(sorted(annotations.items()))
        name = f"__alert_{identity.name}"
        self._label_texts = [
            (label, Template(text, name)) for label, text in identity.labels
        ]
        self._annotation_texts = [
            (label, Template(text, name)) for label, text in self.annotations
        ]
        self.active: dict[Labels, ActiveAlert] = {}
        self.series: set[Labels] = set()
        self.windows_ms: tuple[int, ...] = (0,)  # how far back each part of it looks
        self.hold_until_ms = 0  # until then absence proves nothing

    def adopt(self, active: dict[Labels, ActiveAlert]) -> None:
        """Take the alerts of the rule that this one continues, and their series."""
        self.active = active
        self.series = {labels for labels, _ in self.samples()}

    def step(
        self,
        result: Sequence[tuple[Labels, float]],
        watch: EvaluationState,
        context: Callable[[Labels, float], Context],
        limit: int = 0,
    ) -> Step:
        """Move every alert to where `result` puts it.

        Over `limit` all alerts end, as they do in Prometheus; the step has the reason.

        Raises:
            RuleError: Two alerts have equal labels, or there are over `MAX_ALERTS`;
                nothing has changed.
        """
        current = self._expanded(result, watch.at_ms, context)
        before = {labels: alert.times() for labels, alert in self.active.items()}
        for labels, fresh in current.items():
            existing = self.active.get(labels)
            if existing is None or existing.state == "inactive":
                self.active[labels] = fresh
            else:
                existing.value = fresh.value
                existing.annotations = fresh.annotations
        forgotten = self._move(current, watch)
        error = ""
        count = sum(alert.state != "inactive" for alert in self.active.values())
        if limit and count > limit:
            error = f"exceeded limit of {limit} with {count} alerts"
            forgotten += self._end_all(watch.at_ms)
        changed = [
            alert
            for labels, alert in self.active.items()
            if before.get(labels) != alert.times()
        ]
        return Step(changed, forgotten, error)

    def _move(
        self, current: Mapping[Labels, ActiveAlert], watch: EvaluationState
    ) -> list[ActiveAlert]:
        """Make every transition that is due; return the alerts that are forgotten."""
        forgotten: list[ActiveAlert] = []
        for labels, alert in list(self.active.items()):
            if labels in current:
                alert.keep_firing_since_ms = None
                self._fire(alert, watch)
            elif not self._absent(alert, watch):
                forgotten.append(self.active.pop(labels))
        return forgotten

    def _end_all(self, at_ms: int) -> list[ActiveAlert]:
        """Resolve firing alerts; return the pending ones, which are dropped."""
        forgotten: list[ActiveAlert] = []
        for labels, alert in list(self.active.items()):
            if alert.state == "pending":
                forgotten.append(self.active.pop(labels))
            elif alert.state == "firing":
                alert.state = "inactive"
                alert.resolved_at_ms = at_ms
        return forgotten

    def _expanded(
        self,
        result: Sequence[tuple[Labels, float]],
        at_ms: int,
        context: Callable[[Labels, float], Context],
    ) -> dict[Labels, ActiveAlert]:
        """Return the alerts of `result`, labels and annotations expanded."""
        if len(result) > MAX_ALERTS:
            raise RuleError(
                f"{len(result)} alerts at once, over {MAX_ALERTS}: aggregate in the "
                "expression; the alerts stay as they were"
            )
        expanded: dict[Labels, ActiveAlert] = {}
        for series, value in result:
            around = context(series, value)
            own = dict(drop_name(series))
            own |= {name: text.expand(around) for name, text in self._label_texts}
            own["alertname"] = self.identity.name
            labels = labels_of(own)
            if labels in expanded:
                raise RuleError(
                    "two alerts have the same labels once the rule's labels are "
                    f"applied: {dict(labels)}"
                )
            texts = {name: text.expand(around) for name, text in self._annotation_texts}
            annotations = tuple(sorted(texts.items()))
            expanded[labels] = ActiveAlert(labels, annotations, value, "pending", at_ms)
        return expanded

    def _absent(self, alert: ActiveAlert, watch: EvaluationState) -> bool:
        """Handle an alert that the result has not; return whether it is kept."""
        if watch.holding and alert.state != "inactive":
            if alert.state == "pending":
                alert.active_at_ms += watch.step_ms
            return True
        if alert.state == "pending":
            return False
        if alert.state == "firing":
            if self.keep_firing_for_ms:
                since = alert.keep_firing_since_ms or watch.at_ms
                alert.keep_firing_since_ms = min(since, watch.at_ms)
                if watch.at_ms - alert.keep_firing_since_ms < self.keep_firing_for_ms:
                    return True
            alert.state = "inactive"
            alert.resolved_at_ms = watch.at_ms
            return True
        ended = alert.resolved_at_ms or watch.at_ms
        return watch.at_ms - ended <= RESOLVED_RETENTION_MS

    def _fire(self, alert: ActiveAlert, watch: EvaluationState) -> None:
        """Let a pending alert fire when its time has come."""
        if alert.state != "pending":
            return
        # Or it would wait until a clock that was set back has caught up.
        alert.active_at_ms = min(alert.active_at_ms, watch.at_ms)
        if watch.settled and watch.at_ms - alert.active_at_ms >= self.for_ms:
            alert.state = "firing"
            alert.fired_at_ms = watch.at_ms

    def shift(self, unwatched_ms: int) -> list[ActiveAlert]:
        """Take time without evaluation out of what pending alerts have waited."""
        pending = [a for a in self.active.values() if a.state == "pending"]
        for alert in pending:
            alert.active_at_ms += unwatched_ms
        return pending

    def samples(self) -> Iterator[tuple[Labels, float]]:
        """Yield the current ALERTS and ALERTS_FOR_STATE samples of the alerts."""
        for alert in self.active.values():
            if alert.state == "inactive":
                continue
            pairs = dict(alert.labels)
            pairs["__name__"] = "ALERTS"
            yield labels_of(pairs | {"alertstate": alert.state}), 1.0
            pairs["__name__"] = "ALERTS_FOR_STATE"
            yield labels_of(pairs), float(alert.active_at_ms // 1000)
