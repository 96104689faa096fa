"""Rule files: records before the alerts that read them, in one group per family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.derive import causes
from watchroom.derive.dashboards import UID
from watchroom.formats.rulefile import Rule, RuleFile, RuleGroup
from watchroom.formats.symptoms import SYMPTOM_OF

if TYPE_CHECKING:
    from watchroom.derive.plan import Plan, PlannedAlert, PlannedVital


def rules(plan: Plan) -> RuleFile:
    """Return the rules of a plan.

    Groups are not ordered among each other (measured: a rule in the second read a
    record that was 3.3 s old), so a family's records and alerts share one. None has an
    interval of its own.
    """
    groups: dict[str, list[Rule]] = {}
    follows = causes.symptom_of(plan)
    for vital in plan.vitals:
        groups.setdefault(vital.vital.group, []).extend(
            Rule(record=name, expr=expr, labels=plan.labels)
            for name, expr in vital.records
        )
    for vital in plan.vitals:
        groups[vital.vital.group].extend(
            _alert(alert, vital, plan, follows.get(vital.name, ""))
            for alert in vital.alerts
        )
    # Behind the alerts that page soonest, whose evaluation they then need not wait for.
    groups.setdefault(causes.GROUP, []).extend(causes.rules(plan))
    return RuleFile(
        [
            RuleGroup(name=f"watchroom.{name}", rules=group_rules)
            for name, group_rules in groups.items()
        ]
    )


def runbook_url(plan: Plan, alert: str) -> str:
    """Return where people read an alert's runbook."""
    return f"{plan.site.monitor_url.rstrip('/')}/runbooks/{alert}"


def _alert(alert: PlannedAlert, vital: PlannedVital, plan: Plan, follows: str) -> Rule:
    board = f"{plan.site.monitor_url.rstrip('/')}/"
    annotations = {
        "summary": alert.summary,
        "description": alert.description,
        "runbook_url": runbook_url(plan, alert.name),
        "dashboard_url": board,
        "__dashboardUid__": UID,
    }
    if vital.panel is not None:
        annotations["dashboard_url"] = f"{board}#vital-{vital.panel.id}"
        annotations["__panelId__"] = str(vital.panel.id)
    if follows:
        annotations[SYMPTOM_OF] = follows
    return Rule(
        alert=alert.name,
        expr=alert.expr,
        for_=alert.alert.for_,
        labels=alert.labels,
        annotations=annotations,
    )
