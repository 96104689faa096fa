"""The overview dashboard's panels in the terms a tile needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.formats.grafana import limit_of
from watchroom.monitor.console import runbooks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.formats import grafana


class VitalPanel(NamedTuple):
    """One vital's tile as the dashboard file declares it.

    Attributes:
        id: The panel's id, unique in the dashboard.
        unit: Grafana's name of the unit.
        limit: Where the threshold's colour turns red, in that unit; None without one.
        above_is_bad: Direction, from the order of the steps' colours.
        expr: The value.
        presence: Counts the series it is made from; "" when not given.
        runbook: The name of its runbook page, or "".
        applicable: False when the build knows that there is nothing to monitor.
        otherwise: What to show when there is no limit to compare: ``no limit``.
        otherwise_expr: The value to show then.
        otherwise_unit: Grafana's name of its unit.
        row: The title of its row, or "".
        whole: Whether it counts whole things, whatever ``increase()`` estimates.
    """

    id: int
    title: str
    description: str
    unit: str
    limit: float | None
    above_is_bad: bool
    expr: str
    presence: str
    runbook: str
    applicable: bool
    otherwise: str = ""
    otherwise_expr: str = ""
    otherwise_unit: str = ""
    row: str = ""
    whole: bool = False


def panels_of(dashboard: grafana.Dashboard | None) -> list[VitalPanel]:
    """Return the dashboard's panels that have an expression, in its order."""
    if dashboard is None:
        return []
    panels, row = [], ""
    for panel in dashboard.panels:
        if panel.type == "row":
            row = panel.title
        exprs = {target.refId: target.expr for target in panel.targets}
        if "A" not in exprs:
            continue
        defaults = panel.fieldConfig.defaults
        limit = limit_of(panel)
        panels.append(
            VitalPanel(
                id=panel.id,
                title=panel.title,
                description=panel.description or "",
                unit=defaults.unit or "",
                limit=limit.most,
                above_is_bad=limit.above,
                expr=exprs["A"],
                presence=exprs.get("B", ""),
                runbook=runbooks.linked(panel.links),
                applicable="not applicable" not in (defaults.noValue or ""),
                otherwise=(defaults.noValue or "") if "C" in exprs else "",
                otherwise_expr=exprs.get("C", ""),
                otherwise_unit=_unit_of("C", panel.fieldConfig.overrides),
                row=row,
                whole=limit.whole,
            )
        )
    return panels


def _unit_of(query: str, overrides: Sequence[Mapping[str, Any]]) -> str:
    """Return the unit that an override gives the results of one query, or ""."""
    for override in overrides:
        matcher = override.get("matcher", {})
        if (matcher.get("id"), matcher.get("options")) != ("byFrameRefID", query):
            continue
        for each in override.get("properties", ()):
            if each.get("id") == "unit":
                return str(each.get("value", ""))
    return ""
