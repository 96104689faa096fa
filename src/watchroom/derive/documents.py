"""Runbooks: one page per alert, its name the alert's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.units import format_duration

if TYPE_CHECKING:
    from watchroom.derive.plan import Plan, PlannedAlert, PlannedVital

_SEVERITY = {
    "critical": "critical: pages immediately",
    "warning": "warning: notifies, not urgent",
    "info": "info: for the record",
    "none": "none: notifies nobody",
}


def runbooks(plan: Plan) -> dict[str, str]:
    """Return the Markdown of each alert's page by the alert's name."""
    pages: dict[str, str] = {}
    for vital in plan.vitals:
        for name in dict.fromkeys(alert.name for alert in vital.alerts):
            alerts = [alert for alert in vital.alerts if alert.name == name]
            pages[name] = _page(alerts, vital)
    return pages


def _page(alerts: list[PlannedAlert], vital: PlannedVital) -> str:
    book = alerts[0].runbook
    parts = [
        f"# {alerts[0].name}",
        "\n".join(f"- {_line(alert)}" for alert in alerts),
        "## Meaning",
        book.meaning.strip(),
        "## Impact",
        book.impact.strip(),
        "## Diagnosis",
        book.diagnosis.strip(),
        "## Mitigation",
        book.mitigation.strip(),
        "## Rule",
        *(f"```promql\n{alert.expr}\n```" for alert in alerts),
    ]
    if vital.records:
        parts += [
            "Recording rules that it uses:",
            *(f"`{name}`\n\n```promql\n{expr}\n```" for name, expr in vital.records),
        ]
    parts += ["## Drill", *dict.fromkeys(_proof(alert) for alert in alerts)]
    return "\n\n".join(parts) + "\n"


def _line(alert: PlannedAlert) -> str:
    severity = _SEVERITY[alert.alert.severity]
    hold = alert.alert.for_
    when = "at once" if hold == "0s" else f"after {hold}"
    return f"{alert.alert.priority}, {severity}; fires {when}"


def _proof(alert: PlannedAlert) -> str:
    if alert.drill.exempt:
        return f"Not drilled: {alert.drill.exempt}."
    budget = format_duration(round(alert.budget_seconds))
    return (
        f"`watchroom drill {alert.name}` makes this rule fire and follows the page "
        f"to its receiver. Time limit: {budget}."
    )
