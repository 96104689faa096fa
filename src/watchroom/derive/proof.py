"""Whether drills can work: each fault put to its rule before anything is written.

A rule that loses `job` still fires in a drill, but as an alert of the app: it pages. A
fault that does not reach its rule's limit is found out months later, in a drill. So the
rules are evaluated here over the series that the exporter would serve.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from watchroom.errors import ConfigError, QueryError
from watchroom.formats import series
from watchroom.promql.engine import Engine
from watchroom.promql.memory import MemoryQueryable, Series
from watchroom.promql.parse import parse
from watchroom.promql.syntax import selectors
from watchroom.units import format_duration, parse_duration
from watchroom.urgency import DRILL_JOB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from watchroom.derive.plan import Plan, PlannedAlert, PlannedVital
    from watchroom.promql.model import Labels, Matrix

JOB, INSTANCE = f"{DRILL_JOB}test", "drill:9000"
# Noon of a working day, on which rules of working hours fire: 2027-01-13.
_NOON_MS = 1_799_841_600_000


def check(plan: Plan) -> None:
    """Refuse a vital whose drill would not fire, or would page.

    Raises:
        ConfigError: Its rule does not hold over its fault, or loses the drill's job.
    """
    records = {name: expr for vital in plan.vitals for name, expr in vital.records}
    for vital in plan.vitals:
        for alert in vital.alerts:
            if not alert.drill.exempt:
                _Proof(plan, vital, alert).check(records)


class _Proof:
    """One alert under its own fault, from the fault's first step to its page."""

    def __init__(self, plan: Plan, vital: PlannedVital, alert: PlannedAlert) -> None:
        self._vital = vital
        self._alert = alert
        self._labels = plan.labels
        interval = parse_duration(plan.site.inputs.interval)
        self._engine = Engine(subquery_step_seconds=interval)
        self._step_ms = round(interval * 1000)
        self._last = math.ceil(alert.budget_seconds * 1000 / self._step_ms)
        self._series = list(self._served(plan.target_labels))
        self._done: set[str] = set()

    def check(self, records: Mapping[str, str]) -> None:
        try:
            self._record(records, self._alert.expr)
            series = self._query(self._alert.expr).series
        except QueryError as error:
            raise self._refused(
                f"on the series of its drill, the rule fails to evaluate: {error}",
                "correct the expression, or the drill's fault",
            ) from None
        jobs = {
            {**dict(labels), **self._alert.labels}.get("job") for labels, _, _ in series
        }
        if jobs - {JOB}:
            raise self._refused(
                "its drill would send a real page: the alert that fires doesn't have "
                "the drill's job label",
                "keep job in every aggregation, as in sum by (job) (…), and "
                "don't set it",
            )
        if not any(self._fires(times) for _, times, _ in series):
            raise self._refused(
                "the fault of its drill doesn't make it fire within "
                f"{format_duration(math.ceil(self._alert.budget_seconds))}",
                "make the fault cross the limit and last longer than `for`, with "
                "labels that match the selectors; or use Drill.none('why') if no "
                "series can show the fault",
            )

    def _served(self, more: Mapping[str, str]) -> Iterator[Series]:
        """Yield what a scrape makes of the fault: it adds the target's labels."""
        target = {**more, "job": JOB, "instance": INSTANCE}
        down = self._alert.drill.fault == ("down",)
        lines = [] if down else series.parse_all(self._alert.drill.fault)
        up = series.parse(f"up {int(not down)}+0x{self._last}")
        for line in (up, *lines):
            # Past its end a line's last step stays.
            values = [line.values[min(at, len(line.values) - 1)] for at in self._steps]
            indices = [at for at, value in enumerate(values) if value is not None]
            yield Series(
                tuple(sorted({**dict(line.labels), **target}.items())),
                np.array([self._at(at) for at in indices], np.int64),
                np.array([values[at] for at in indices], np.float64),
            )

    @property
    def _steps(self) -> range:
        return range(self._last + 1)

    def _at(self, step: int) -> int:
        return _NOON_MS + step * self._step_ms

    def _record(self, records: Mapping[str, str], expr: str) -> None:
        for name in (selector.metric for selector in selectors(parse(expr))):
            if name in records and name not in self._done:
                self._done.add(name)
                self._record(records, records[name])
                self._series += [
                    Series(_named(labels, name, self._labels), times, values)
                    for labels, times, values in self._query(records[name]).series
                ]

    def _query(self, expr: str) -> Matrix:
        return self._engine.range(
            MemoryQueryable(self._series),
            expr,
            _NOON_MS,
            self._at(self._last),
            self._step_ms,
        )

    def _fires(self, times: object) -> bool:
        """Return whether it holds at the last step and has for the alert's `for`."""
        hold_steps = math.ceil(
            parse_duration(self._alert.alert.for_) * 1000 / self._step_ms
        )
        present = set(np.asarray(times).tolist())
        return all(self._at(self._last - at) in present for at in range(hold_steps + 1))

    def _refused(self, what: str, hint: str) -> ConfigError:
        return ConfigError(
            f"vital {self._vital.name}, alert {self._alert.name}: {what}", hint=hint
        )


def _named(labels: Labels, name: str, more: Mapping[str, str]) -> Labels:
    return tuple(sorted({**dict(labels), **more, "__name__": name}.items()))
