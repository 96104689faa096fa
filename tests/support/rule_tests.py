"""Unit tests for promtool, made from the drills: each rule must fire, and must not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from watchroom.derive.fast import copies
from watchroom.derive.proof import INSTANCE, JOB
from watchroom.formats import series, yamlfile
from watchroom.formats.exposition import number
from watchroom.units import format_duration, parse_duration
from watchroom.urgency import DRILL_JOB

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from watchroom.derive.fast import Copy
    from watchroom.derive.plan import Plan, PlannedAlert

FAST_JOB = f"{DRILL_JOB}fast-test"
_CUMULATIVE = ("_total", "_bucket", "_count", "_sum")


def unit_tests(
    plan: Plan, *rule_files: str, only: Collection[str] | None = None
) -> str:
    """Return a file for `promtool test rules`.

    Args:
        plan: What was built.
        rule_files: The paths of its rules, as promtool shall open them.
        only: The alerts to test; all by default. promtool evaluates every rule of the
            files at every step of every test, so a group tested alone is much cheaper.
    """
    interval = parse_duration(plan.site.inputs.interval)
    alerts = {
        alert.name: alert
        for vital in plan.vitals
        for alert in vital.alerts
        if only is None or alert.name in only
    }
    tests = [_without_data(plan, alerts, interval)]
    for alert in alerts.values():
        tests += _tests(alert, plan, interval)
    for copy in copies(plan):
        if copy.of.name in alerts:
            tests += _copy_tests(copy, plan, interval)
    return yamlfile.dump(
        {
            "rule_files": list(rule_files),
            "evaluation_interval": plan.site.inputs.interval,
            "tests": tests,
        }
    )


def _without_data(
    plan: Plan, alerts: Mapping[str, PlannedAlert], interval: float
) -> dict[str, Any]:
    """Return the test of a monitor that scrapes nothing at all.

    What fires on nothing is the watchdog and what notices an absence.
    """
    steps = max(math.ceil(a.budget_seconds / interval) for a in alerts.values())
    return {
        "name": "without any data",
        "interval": plan.site.inputs.interval,
        "input_series": [],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})'
                " or vector(0)",
                "eval_time": format_duration(steps * interval),
                "exp_samples": [
                    {"labels": "{}", "value": int(_fires_on_nothing(alert))}
                ],
            }
            for name, alert in alerts.items()
        ],
    }


def _fires_on_nothing(alert: PlannedAlert) -> bool:
    return bool(alert.drill.exempt) and not alert.drill.fault


def _tests(alert: PlannedAlert, plan: Plan, interval: float) -> list[dict[str, Any]]:
    drill = alert.drill
    hold = math.ceil(alert.budget_seconds / interval)
    if drill.fault == ("down",):
        fault = series.parse_all([f"up 0+0x{hold}"])
        recovery = series.parse_all(["up 1+0x2"])
    else:
        fault = series.parse_all(drill.fault)
        recovery = series.parse_all(drill.recovery)
    synthetic = not drill.exempt
    tests = []
    if fault:
        tests.append(
            _test(
                f"{alert.name} must fire, and resolve after the recovery",
                _joined(fault, recovery, hold, 3) if recovery else fault,
                plan,
                synthetic=synthetic,
                expected=[(hold, 1), *([(hold + 3, 0)] if recovery else [])],
                alert=alert,
            )
        )
    if drill.calm:
        calm = series.parse_all(drill.calm)
        calm = [line._replace(values=line.values[: hold + 1]) for line in calm]
        tests.append(
            _test(
                f"{alert.name} must not fire",
                calm,
                plan,
                synthetic=synthetic,
                expected=[(hold, 0)],
                alert=alert,
            )
        )
    return tests


def _copy_tests(copy: Copy, plan: Plan, interval: float) -> list[dict[str, Any]]:
    """Return that a copy fires for its drills, and for no series of the app."""
    hold = math.ceil(copy.budget_seconds / interval)
    down = copy.of.drill.fault == ("down",)
    up = series.parse_all([f"up {int(not down)}+0x{hold}"])
    lines = [*up, *([] if down else series.parse_all(copy.of.drill.fault))]
    expr = f'count(ALERTS{{alertname="{copy.name}"}}) or vector(0)'
    return [
        {
            "name": f"{copy.name} {'must' if count else 'must not'} fire for {job}",
            "interval": plan.site.inputs.interval,
            "input_series": [
                _input(line, {**plan.target_labels, "job": job, "instance": INSTANCE})
                for line in lines
            ],
            "promql_expr_test": [
                {
                    "expr": expr,
                    "eval_time": format_duration(hold * interval),
                    "exp_samples": [{"labels": "{}", "value": count}],
                }
            ],
        }
        for job, count in ((FAST_JOB, 1), (JOB, 0), ("app", 0))
    ]


def _test(
    name: str,
    lines: Iterable[series.Line],
    plan: Plan,
    *,
    synthetic: bool,
    expected: Sequence[tuple[int, int]],
    alert: PlannedAlert,
) -> dict[str, Any]:
    """Return one test; `expected` holds (step, how many alerts fire)."""
    interval = parse_duration(plan.site.inputs.interval)
    more = dict(plan.target_labels)
    labels = {**alert.labels, **alert.drill.labels}
    if synthetic:
        more |= {"job": JOB, "instance": INSTANCE}
        labels["job"] = JOB
    matchers = "".join(f',{k}="{v}"' for k, v in sorted(labels.items()))
    expr = (
        f'count(ALERTS{{alertname="{alert.name}",alertstate="firing"{matchers}}})'
        " or vector(0)"
    )
    return {
        "name": name,
        "interval": plan.site.inputs.interval,
        "input_series": [_input(line, more) for line in lines],
        "promql_expr_test": [
            {
                "expr": expr,
                "eval_time": format_duration(step * interval),
                "exp_samples": [{"labels": "{}", "value": count}],
            }
            for step, count in expected
        ],
    }


def _input(line: series.Line, more: dict[str, str]) -> dict[str, str]:
    labels = tuple(sorted({**more, **dict(line.labels)}.items()))
    return {
        "series": series.text_of(labels),
        "values": " ".join(_value(value) for value in line.values),
    }


def _value(value: float | None) -> str:
    if value is None:
        return "_"
    return "stale" if series.is_stale(value) else number(value)


def _joined(
    fault: Sequence[series.Line],
    recovery: Sequence[series.Line],
    steps: int,
    more: int,
) -> list[series.Line]:
    """Return `steps` of the fault, then the recovery as the exporter serves it.

    Cumulative series go on from the fault's last value, gauges take the recovery's.
    """
    after = {line.labels: line.values for line in recovery}
    joined = []
    for line in fault:
        values = _stretched(line.values, steps + 1)
        last = values[-1]
        then = after.pop(line.labels, None)
        name = dict(line.labels)["__name__"]
        added: list[float | None]
        if then is None:
            added = [last] * more
        elif name.endswith(_CUMULATIVE):
            added = [
                # A sum with the stale marker would be an ordinary NaN.
                v if v is None or series.is_stale(v) else v + (last or 0.0)
                for v in _stretched(then, more)
            ]
        else:
            added = list(_stretched(then, more))
        joined.append(series.Line(line.labels, (*values, *added)))
    for labels, then in after.items():
        blank: list[float | None] = [None] * (steps + 1)
        joined.append(series.Line(labels, (*blank, *_stretched(then, more))))
    return joined


def _stretched(values: Sequence[float | None], count: int) -> tuple[float | None, ...]:
    """Return exactly `count` values; the last one stays."""
    return (*values[:count], *[values[-1]] * max(0, count - len(values)))
