"""The error budget: how fast failures spend what the objective leaves.

An objective of 99.9% lets one request of a thousand fail. At burn rate 1 that budget
lasts 30 days; at 14.4 an hour spends 2% of it, at 6 six hours spend 5%. Windows and
factors are those of Google's SRE workbook, chapter "Alerting on SLOs", section 6: a
long window says that it matters, a short one that it goes on.

All windows are multiples of the vital's, 5m: 30m, 1h, 6h and 3d. The long ones look at
the records of the short one, one series a job: the requests themselves would be
billions of samples.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from watchroom.catalogue.model import (
    Alert,
    Chart,
    Drill,
    Panel,
    Query,
    Record,
    Vital,
)
from watchroom.catalogue.prose import beside
from watchroom.catalogue.standard import below
from watchroom.catalogue.standard.drilled import answered
from watchroom.catalogue.standard.http import FAILED
from watchroom.urgency import DRILLS

if TYPE_CHECKING:
    from watchroom.catalogue.model import Priority, Severity

TEXTS = beside(__name__)

# The share of requests that are to succeed, unless a project says otherwise.
OBJECTIVE = 0.999
_REQUESTS = "http_requests_total"
_ASKED = "job:slo_requests:rate"
_LOST = "job:slo_errors:rate"
_SHARE = "job:slo_errors:ratio_rate"
# Alerts that report the same failures sooner.
_SOONER = 'ALERTS{alertname=~"HttpOutage|HighErrorRate",alertstate="firing"}'


class _Tier(NamedTuple):
    """One pair of windows.

    Attributes:
        name: The alert.
        factor: The burn rate.
        long: The window that says that it matters.
        short: The window that says that it goes on.
        counted: PromQL of the failures in the short one.
        watched: How long ago the job must have been watched already.
        severity: Who hears of it.
        priority: How urgent it is.
    """

    name: str
    factor: str
    long: str
    short: str
    counted: str
    watched: str
    severity: Severity
    priority: Priority


_TIERS = (
    _Tier(
        "ErrorBudgetBurn",
        "14.4",
        "$windows12",
        "$window",
        f"{_LOST}$window * $window_seconds",
        "$windows2",
        "critical",
        "P1",
    ),
    _Tier(
        "ErrorBudgetBurnSustained",
        "6",
        "$windows72",
        "$windows6",
        f"sum_over_time({_LOST}$window[$windows6]) * $interval_seconds",
        "$windows12",
        "critical",
        "P1",
    ),
    _Tier(
        "ErrorBudgetBurnSlow",
        "1",
        "$windows864",
        "$windows72",
        f"sum_over_time({_LOST}$window[$windows72]) * $interval_seconds",
        "$windows12",
        "warning",
        "P3",
    ),
)


def _expr(tier: _Tier) -> str:
    """Return the rule of a pair of windows.

    A job that has just begun has no long window: its first failures would fill both. A
    drill has only just begun, so it is let through. After a page of one of the sooner
    alerts has ended, the windows still hold the same failures: no second page for them.
    """
    budget = f"{tier.factor} * $limit"
    return (
        f"{_SHARE}{tier.long} > {budget}"
        f" and on (job) {_SHARE}{tier.short} > {budget}"
        f" and on (job) round({tier.counted}, 0.1) >= $min_failures"
        f" and on (job) ({_ASKED}$window offset {tier.watched}"
        f" or {_ASKED}$window{{{DRILLS}}})"
        f" unless on (job) (max_over_time({_SOONER}[{tier.short}])"
        f" unless on (job) {_SOONER})"
    )


def _alert(tier: _Tier) -> Alert:
    return Alert(
        **TEXTS.alert(tier.name),
        expr=_expr(tier),
        # The windows tell noise from a fault; a drill then proves the rule as it is.
        for_="1m",
        severity=tier.severity,
        priority=tier.priority,
        drill=Drill(
            fault=(
                answered("200", "0+0x$steps"),
                answered("500", "0+50x$steps"),
            ),
            recovery=(answered("200", "1000000000000+5x$steps"),),
            calm=(
                answered("200", "0+10000000x$steps"),
                answered("500", "0+50x$steps"),
            ),
        ),
    )


def _records(*longer: str) -> tuple[Record, ...]:
    return (
        Record(f"{_ASKED}$window", f"sum by (job) (rate({_REQUESTS}[$window]))"),
        Record(
            f"{_LOST}$window",
            f"sum by (job) (rate({_REQUESTS}{{{FAILED}}}[$window]))"
            f" or on (job) {_ASKED}$window * 0",
        ),
        Record(
            f"{_SHARE}$window",
            f"{_LOST}$window / on (job) ({_ASKED}$window > 0)",
        ),
        *(
            Record(
                f"{_SHARE}{window}",
                f"sum_over_time({_LOST}$window[{window}])"
                f" / on (job) (sum_over_time({_ASKED}$window[{window}]) > 0)",
            )
            for window in longer
        ),
    )


def _panel(window: str, limit: str) -> Panel:
    return Panel(
        expr=f"max({_SHARE}{window}{{$real}}) / $limit",
        presence=f"count({_REQUESTS}{{$real}})",
        limit=limit,
        decimals=1,
    )


_FAST, _SUSTAINED, _SLOW = _TIERS
_SOONER_VITALS = (*below.REQUESTS, "HttpOutage", "HighErrorRate")

ERROR_BUDGET_BURN = Vital(
    title="Error budget burn rate",
    metrics=(_REQUESTS,),
    group="http",
    unit="share",
    limit=round(1 - OBJECTIVE, 9),
    ignores_with="HighErrorRate",
    symptom_of=_SOONER_VITALS,
    parameters={"min_failures": "5"},
    records=_records("$windows12", "$windows72", "$windows864"),
    alerts=(_alert(_FAST),),
    panel=_panel(_FAST.long, _FAST.factor),
    charts=(
        Chart(
            **TEXTS.chart("Error budget burn rate"),
            row="Request rate and 5xx",
            queries=tuple(
                Query(
                    f"max by (job) (max_over_time({_SHARE}{window}{{$jobs}}"
                    "[$rate_interval])) / $limit",
                    f"{{{{job}}}} {window}",
                )
                for window in ("$windows12", "$windows72", "$windows864")
            ),
            limit="14.4",
        ),
    ),
)

ERROR_BUDGET_BURN_SUSTAINED = replace(
    ERROR_BUDGET_BURN,
    title="Burn rate over hours",
    ignores_with="ErrorBudgetBurn",
    symptom_of=(*_SOONER_VITALS, "ErrorBudgetBurn"),
    drains=_SUSTAINED.short,
    # Its runbook shows the hour as well; equal records of the three are one.
    records=_records("$windows6", "$windows12", "$windows72"),
    alerts=(_alert(_SUSTAINED),),
    panel=_panel(_SUSTAINED.long, _SUSTAINED.factor),
    charts=(),
)

ERROR_BUDGET_BURN_SLOW = replace(
    ERROR_BUDGET_BURN,
    title="Burn rate over days",
    ignores_with="ErrorBudgetBurn",
    symptom_of=(*_SOONER_VITALS, "ErrorBudgetBurn", "ErrorBudgetBurnSustained"),
    drains=_SLOW.short,
    records=_records("$windows12", "$windows72", "$windows864"),
    alerts=(_alert(_SLOW),),
    panel=_panel(_SLOW.long, _SLOW.factor),
    charts=(),
)

VITALS = (ERROR_BUDGET_BURN, ERROR_BUDGET_BURN_SUSTAINED, ERROR_BUDGET_BURN_SLOW)
