"""The overview dashboard's panels in the terms a tile needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.formats import grafana

_BAD = ("red", "dark-red", "semi-dark-red", "#")


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
        applicable: False when the build knows that there is nothing to watch.
        otherwise: What to say when there is nothing to judge: ``no limit``; or "".
        otherwise_expr: The value to show then.
        otherwise_unit: Grafana's name of its unit.
        row: The title of the row it stands in, or "".
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
    found, row = [], ""
    for panel in dashboard.panels:
        if panel.type == "row":
            row = panel.title
        exprs = {target.refId: target.expr for target in panel.targets}
        if "A" not in exprs:
            continue
        defaults = panel.fieldConfig.defaults
        limit, above = _limit(defaults.thresholds.steps if defaults.thresholds else ())
        if limit and above and defaults.decimals == 0 and limit == int(limit):
            # Of whole things red begins at the first that is one too many.
            limit -= 1
        found.append(
            VitalPanel(
                id=panel.id,
                title=panel.title,
                description=panel.description or "",
                unit=defaults.unit or "",
                limit=limit,
                above_is_bad=above,
                expr=exprs["A"],
                presence=exprs.get("B", ""),
                runbook=_runbook(panel.links),
                applicable="not applicable" not in (defaults.noValue or ""),
                otherwise=(defaults.noValue or "") if "C" in exprs else "",
                otherwise_expr=exprs.get("C", ""),
                otherwise_unit=_unit_of("C", panel.fieldConfig.overrides),
                row=row,
                whole=defaults.decimals == 0,
            )
        )
    return found


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


def _limit(steps: Sequence[grafana.Step]) -> tuple[float | None, bool]:
    """Return where the steps turn red, and whether that is upwards."""
    if not steps:
        return None, True
    if _is_bad(steps[0].color):
        for step in steps[1:]:
            if not _is_bad(step.color):
                return step.value, False
        return None, False
    for step in steps[1:]:
        if _is_bad(step.color):
            return step.value, True
    return None, True


def _is_bad(color: str) -> bool:
    return color.startswith(_BAD)


def _runbook(links: Sequence[grafana.Link]) -> str:
    for link in links:
        head, found, name = link.url.partition("runbooks/")
        del head
        if found:
            return name.partition("#")[0].removesuffix(".md").strip("/")
    return ""
