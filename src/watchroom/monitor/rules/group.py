"""One rule group: its rules in order, each seeing what the earlier ones gave."""

from __future__ import annotations

import collections
import logging
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import StoreError, WatchroomError
from watchroom.monitor.alert import Alert, routed
from watchroom.monitor.clock import forgotten_ms
from watchroom.monitor.rules import state as rule_memory
from watchroom.monitor.rules.alerting import AlertRule, EvaluationState, RuleError
from watchroom.monitor.rules.overlay import Overlay
from watchroom.monitor.rules.recording import RecordRule
from watchroom.monitor.rules.views import (
    Evaluation,
    GroupKey,
    GroupView,
    Status,
    rule_view,
)
from watchroom.monitor.templates import Context, Sample
from watchroom.promql.model import Matrix, Scalar, String

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from watchroom.monitor.rules.alerting import ActiveAlert
    from watchroom.monitor.state.database import StateDB
    from watchroom.monitor.store import Store
    from watchroom.promql.engine import Engine
    from watchroom.promql.model import Labels, Value

_LOG = logging.getLogger(__name__)

GAP_INTERVALS = 3
"""Evaluations that may be missed before the time between counts as unwatched."""

_SETTLE_EVALUATIONS = 2
"""Evaluations after a gap in which no alert begins to fire. A second long step among
them isn't a gap but a slow machine, on which nothing would ever fire."""

MAX_HOLD_MS = 3_600_000
"""The longest delay of an end after a gap; windows of days hardly notice gaps."""

_HOLD_SHARE = 0.1


class GroupServices(NamedTuple):
    """What evaluating takes: see `RuleManager`."""

    state: StateDB
    store: Store
    engine: Engine
    external_labels: Mapping[str, str]
    external_url: str
    link: Callable[[str], str]


def vector(value: Value) -> list[tuple[Labels, float]]:
    """Return an answer as series with one value each; a number is one without labels.

    Raises:
        RuleError: It is a string or a matrix.
    """
    if isinstance(value, Scalar):
        return [((), value.value)]
    if isinstance(value, String | Matrix):
        raise RuleError("query result is not a vector or scalar")
    return list(value.samples)


class RuleGroup:
    """One group; `evaluate` by one thread at a time, `view` is read by any."""

    def __init__(
        self,
        key: GroupKey,
        rules: Sequence[AlertRule | RecordRule],
        *,
        interval_ms: int,
        limit: int,
    ) -> None:
        self.key = key
        self.target = f"rules/{key.file};{key.name}"
        self.rules = rules
        self.interval_ms = interval_ms
        self.limit = limit
        self.lock = threading.Lock()
        self.retired = False
        self.last_ms: int | None = None
        self.seen = time.monotonic()  # when it was evaluated last, on no wall's clock
        self.unsettled = 0
        self.set_back_ms = 0
        self.steps: collections.deque[int] = collections.deque(
            maxlen=_SETTLE_EVALUATIONS
        )
        self.ended: set[Labels] = set()
        self.failures = 0
        self.state_failures = 0
        self._status = [Status() for _ in rules]
        self._unsaved = False
        self._blind = 0
        self._labels: list[Labels] = []
        self._seconds = 0.0
        self.view = self._viewed()

    def evaluate(
        self,
        services: GroupServices,
        at_ms: int,
        sink: Callable[[Sequence[Alert]], None],
    ) -> Evaluation | None:
        """Evaluate every rule at `at_ms`; see `RuleManager.evaluate`."""
        with self.lock:
            if self.retired or not self._later(at_ms):
                return None
            started = time.perf_counter()
            saves = self._notice_gap(at_ms)
            snapshot = services.store.snapshot()
            overlay = Overlay(snapshot, at_ms)
            overlay.end(self.ended)
            for rule in self.rules:
                if isinstance(rule, RecordRule) and rule.unknown:
                    live = services.engine.instant(snapshot, rule.selector, at_ms)
                    rule.series = {labels for labels, _ in vector(live)}
                    rule.unknown = False
            failures = self._blind = 0
            alerts: list[Alert] = []
            for index, rule in enumerate(self.rules):
                before = time.perf_counter()
                error = self._run(rule, services, overlay, at_ms, saves, alerts)
                failures += bool(error)
                self._status[index] = Status(
                    "err" if error else "ok",
                    error,
                    time.perf_counter() - before,
                    at_ms,
                )
            self._save(services, saves)
            labels, values = overlay.row()
            if labels == self._labels:
                labels = self._labels  # the store knows a list it has seen
            self._labels = labels
            self.failures += failures
            # Before what may refuse: this moment was watched, whatever comes of it.
            self._watched(at_ms)
            self._seconds = time.perf_counter() - started
            self.view = self._viewed()
            if alerts:
                sink(alerts)
            _beat(services.state, at_ms)
            if labels:
                services.store.append(self.target, at_ms, labels, values)
            self.ended = set()
            return Evaluation(
                self.key, at_ms, self._seconds, len(labels), failures, alerts
            )

    def _watched(self, at_ms: int) -> None:
        """Note that the rules ran."""
        if self.last_ms is not None:
            self.steps.append(at_ms - self.last_ms)
        self.last_ms = at_ms
        # A group whose every rule fails through no fault of its own stands still.
        if not self._blind or self._blind < len(self.rules):
            self.seen = time.monotonic()
        self.unsettled = max(0, self.unsettled - 1)

    def _later(self, at_ms: int) -> bool:
        """Return whether `at_ms` is after the last evaluation.

        After a clock was set back by more than a few intervals it starts over: waiting
        for the old time would be an hour without an alert.
        """
        if self.last_ms is None or at_ms > self.last_ms:
            return True
        if self.last_ms - at_ms > GAP_INTERVALS * self.interval_ms:
            self.set_back_ms = self.last_ms - at_ms
            _LOG.warning("the clock went back %d ms", self.set_back_ms)
            self.last_ms = None
        return self.last_ms is None

    def _run(
        self,
        rule: AlertRule | RecordRule,
        services: GroupServices,
        overlay: Overlay,
        at_ms: int,
        saves: dict[int, tuple[list[ActiveAlert], list[ActiveAlert]]],
        alerts: list[Alert],
    ) -> str:
        """Evaluate one rule; return why it failed, or the empty string."""
        try:
            result = vector(services.engine.instant(overlay, rule.expr, at_ms))
            if isinstance(rule, RecordRule):
                samples = rule.step(result, self.limit)
                error = ""
            else:
                watch = EvaluationState(
                    at_ms,
                    # A hold for longer is from before the clock was set back.
                    holding=at_ms < rule.hold_until_ms <= at_ms + MAX_HOLD_MS,
                    settled=not self.unsettled,
                    step_ms=at_ms - (self.last_ms or at_ms),
                )
                context = _context(services, overlay, at_ms)
                step = rule.step(result, watch, context, self.limit)
                samples, error = list(rule.samples()), step.error
                changed, forgotten = saves.setdefault(id(rule), ([], []))
                changed.extend(step.changed)
                forgotten.extend(step.gone)
                alerts.extend(_outgoing(rule, step.changed, services, at_ms))
        except WatchroomError as failure:
            self._blind += isinstance(failure, StoreError)
            return str(failure)
        except Exception as failure:  # noqa: BLE001 - a bug in one must not mute the rest
            self._blind += 1
            _LOG.exception("rule %s failed inside the monitor", _name(rule)[1])
            return f"failed inside the monitor: {type(failure).__name__}: {failure}"
        refused = overlay.add(samples)
        produced = {labels for labels, _ in samples}
        overlay.end(rule.series - produced)
        rule.series = produced
        if refused and not error:
            error = f"{refused} series duplicate those of an earlier rule of this group"
        return error

    def _notice_gap(
        self, at_ms: int
    ) -> dict[int, tuple[list[ActiveAlert], list[ActiveAlert]]]:
        """Make up for time without evaluation; return the alerts that this moved."""
        saves: dict[int, tuple[list[ActiveAlert], list[ActiveAlert]]] = {}
        gap_ms = at_ms - (at_ms if self.last_ms is None else self.last_ms)
        unwatched_ms = gap_ms - self.interval_ms
        if self.set_back_ms:
            # What was scraped under the old time is forgotten (`Store.moved`).
            gap_ms, unwatched_ms = forgotten_ms(self.set_back_ms), -self.set_back_ms
            self.set_back_ms = 0
        elif gap_ms <= GAP_INTERVALS * max((self.interval_ms, *self.steps)):
            return saves
        self.unsettled = _SETTLE_EVALUATIONS
        for rule in self.rules:
            if isinstance(rule, RecordRule):
                continue
            saves[id(rule)] = (rule.shift(unwatched_ms), [])
            torn = [w for w in rule.windows_ms if gap_ms > w * _HOLD_SHARE]
            if torn:
                hold_ms = max(*torn, GAP_INTERVALS * self.interval_ms)
                rule.hold_until_ms = at_ms + min(hold_ms, MAX_HOLD_MS)
        return saves

    def _save(
        self,
        services: GroupServices,
        saves: dict[int, tuple[list[ActiveAlert], list[ActiveAlert]]],
    ) -> None:
        """Put changed alerts on disk; one that will not must stop no page."""
        rows = []
        for rule in self.rules:
            if isinstance(rule, RecordRule):
                continue
            changed, forgotten = saves.get(id(rule), ([], []))
            if self._unsaved:
                changed = list(rule.active.values())
            if changed or forgotten:
                rows.append((rule.identity, rule.expr, changed, forgotten))
        if not rows:
            return
        try:
            rule_memory.save(services.state, rows)
            self._unsaved = False
        except StoreError:
            self.unsaved()

    def unsaved(self) -> None:
        """Have the next evaluation write every alert, since the disk took none."""
        self.state_failures += 1
        self._unsaved = True

    def end(self, services: GroupServices, at_ms: int) -> None:
        """End every series of a removed group; the caller holds the lock."""
        self.retired = True
        series = self.ended.union(*(rule.series for rule in self.rules))
        if series:
            overlay = Overlay(services.store.snapshot(), at_ms)
            overlay.end(series)
            services.store.append(self.target, at_ms, *overlay.row())

    def refresh(self) -> None:
        """Make the view again, after alerts were adopted."""
        self.view = self._viewed()

    def _viewed(self) -> GroupView:
        return GroupView(
            self.key,
            self.interval_ms / 1000,
            self.limit,
            tuple(
                rule_view(rule, status)
                for rule, status in zip(self.rules, self._status, strict=True)
            ),
            self._seconds,
            self.last_ms,
        )

    def inherit(self, before: RuleGroup) -> None:
        """Continue the group of the same name in the files before a reload."""
        self.last_ms = before.last_ms
        self.seen = before.seen
        self.unsettled = before.unsettled
        self.steps = before.steps
        self.failures = before.failures
        self.state_failures = before.state_failures
        self._unsaved = before._unsaved
        self._seconds = before._seconds
        known = {
            _name(rule): status
            for rule, status in zip(before.rules, before._status, strict=True)
        }
        self._status = [known.get(_name(rule), Status()) for rule in self.rules]


def _beat(state: StateDB, at_ms: int) -> None:
    try:
        state.beat(at_ms)
    except OSError as error:
        # A full disk: the gap after a restart will look longer, no more.
        _LOG.warning("the heartbeat could not be recorded: %s", error.strerror)


def _name(rule: AlertRule | RecordRule) -> tuple[object, ...]:
    if isinstance(rule, RecordRule):
        return ("record", rule.name, rule.labels, rule.expr)
    return ("alert", rule.identity, rule.expr)


def _context(
    services: GroupServices, overlay: Overlay, at_ms: int
) -> Callable[[Labels, float], Context]:
    """Return what makes a template's surroundings out of one series."""

    def query(expr: str) -> list[Sample]:
        values = vector(services.engine.instant(overlay, expr, at_ms))
        return [Sample(dict(labels), value) for labels, value in values]

    def context(series: Labels, value: float) -> Context:
        return Context(
            dict(series),
            value,
            services.external_labels,
            services.external_url,
            query,
            at_ms / 1000,
        )

    return context


def _outgoing(
    rule: AlertRule, changed: Sequence[ActiveAlert], services: GroupServices, at_ms: int
) -> list[Alert]:
    """Return what the dispatcher gets: all that fires, and what just ended."""
    ended = [alert for alert in changed if alert.state == "inactive"]
    firing = [alert for alert in rule.active.values() if alert.state == "firing"]
    link = services.link(rule.expr)
    return [outgoing(a, services.external_labels, link, at_ms) for a in firing + ended]


def outgoing(
    alert: ActiveAlert, external_labels: Mapping[str, str], link: str, at_ms: int
) -> Alert:
    """Return a firing or resolved alert as the dispatcher takes it."""
    return Alert(
        routed(dict(alert.labels), external_labels),
        alert.annotations,
        alert.fired_at_ms or alert.active_at_ms,
        alert.resolved_at_ms if alert.state == "inactive" else None,
        at_ms,
        link,
        active_at_ms=alert.active_at_ms,
    )
