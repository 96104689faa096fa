"""rules/drills.yml: copies of rules with a long `for`, which only drills can fire.

A copy has its rule's expression unchanged, and a shorter `for`. It is joined with
the targets whose job begins with ``drill-fast-``, and only the exporter makes those,
while such a drill runs: no series of the app can fire it, and nothing it fires is
routed or inhibited as anything but a drill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.derive import selectors
from watchroom.formats.rulefile import Rule, RuleFile, RuleGroup
from watchroom.units import format_duration, parse_duration
from watchroom.urgency import DRILL_JOB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from watchroom.derive.plan import Plan, PlannedAlert

FAST = f'job=~"{DRILL_JOB}fast-.+"'
GROUP = "watchroom.drills"
# Rules that fire within a minute are drilled as they are.
_LONG_SECONDS = 60.0
_SPEED = 30


class Copy(NamedTuple):
    """The accelerated copy of one rule.

    Attributes:
        of: Whose copy it is.
        name: The alert it fires.
        expr: The rule's own, for such drills alone.
        for_: A thirtieth of the rule's, two intervals at least; a duration.
        budget_seconds: From the fault to the page, at the latest.
    """

    of: PlannedAlert
    name: str
    expr: str
    for_: str
    budget_seconds: float


def copies(plan: Plan) -> Iterator[Copy]:
    """Yield the copies of the rules whose drill would take long."""
    for vital in plan.vitals:
        for alert in vital.alerts:
            copy = copy_of(plan, alert)
            if copy is not None:
                yield copy


def copy_of(plan: Plan, alert: PlannedAlert) -> Copy | None:
    """Return the copy of a rule, or None for one that needs none."""
    hold = parse_duration(alert.alert.for_)
    if hold <= _LONG_SECONDS or alert.drill.exempt:
        return None
    interval = parse_duration(plan.site.inputs.interval)
    short = max(hold / _SPEED, 2 * interval)
    if short >= hold:
        return None
    where = f"the accelerated copy of {alert.name}"
    guard = selectors.narrow(f"up{{{FAST}}}", lambda _: plan.site.inputs.select, where)
    return Copy(
        alert,
        f"{alert.name}Accelerated",
        f"({alert.expr}) and on (job) {guard}",
        format_duration(short),
        # One interval more than the rule's own: its records are in another group.
        short + 7 * interval + 10,
    )


def drill_rules(plan: Plan) -> RuleFile | None:
    """Return the file of all copies, or None when no rule needs one."""
    rules = [_rule(copy) for copy in copies(plan)]
    return RuleFile([RuleGroup(name=GROUP, rules=rules)]) if rules else None


def _rule(copy: Copy) -> Rule:
    hold = copy.of.alert.for_
    return Rule(
        alert=copy.name,
        expr=copy.expr,
        for_=copy.for_,
        labels={**copy.of.labels, "drill": "accelerated"},
        annotations={
            "summary": copy.of.summary,
            "description": (
                f"A drill: the expression of {copy.of.name} with a `for` of "
                f"{copy.for_} instead of {hold}."
            ),
        },
    )
