"""What follows from what: the alerts that keep one cause from paging twice.

Which of two alerts of one fault comes first is chance: half of all requests fail before
the database has been down long enough. So the first one pages, whatever it is, and the
others of the same fault are muted as long as it lasts: an alert of our own,
`PageInhibitor`, fires for each of them, and one inhibition makes it mute them. What was
sent once is never muted, so its end is sent too.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

from watchroom.catalogue import parameters
from watchroom.errors import ConfigError
from watchroom.formats.alertmanager import InhibitRule
from watchroom.formats.rulefile import Rule
from watchroom.formats.symptoms import INHIBITOR, NEAR_SECONDS
from watchroom.units import format_duration, parse_duration
from watchroom.urgency import NO_DRILLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from watchroom.catalogue.model import Vital
    from watchroom.derive.plan import Plan

LEADS = "vital:page_leads:since"
PAGED = "vital:page_leads:paged"
GROUP = "http"
"""The group of rules whose pages are the most urgent: the inhibitors follow in it."""

# From an evaluation to Alertmanager.
_REACH_SECONDS = 2
# After what an alert followed from has ended: its window empties, and a scrape's time.
_HOLD_SECONDS = 300
_URGENT = "P1"
_FIRES = f'alertstate="firing",priority="{_URGENT}"'
_LESS = 'priority=~"P2|P3"'


def closed(vitals: Iterable[Vital]) -> dict[str, frozenset[str]]:
    """Return each vital's causes, and theirs, by name.

    Raises:
        ConfigError: A cause isn't a vital, or two would be each other's cause.
    """
    direct = {vital.name: frozenset(vital.symptom_of) for vital in vitals}
    closure: dict[str, frozenset[str]] = {}
    for name, causes in direct.items():
        for cause in sorted(causes - direct.keys()):
            near = difflib.get_close_matches(cause, sorted(direct), n=1)
            raise ConfigError(
                f"the vital {name} is a symptom of {cause!r}, which isn't a vital",
                hint=f"did you mean {near[0]!r}?" if near else "name a vital",
            )
        seen: set[str] = set()
        waiting = set(causes)
        while waiting:
            cause = waiting.pop()
            seen.add(cause)
            waiting |= direct[cause] - seen
        if name in seen:
            raise ConfigError(
                f"the vital {name} is a symptom of itself, through "
                f"{', '.join(sorted(causes))}",
                hint="remove one of them from symptom_of",
            )
        closure[name] = frozenset(seen)
    return closure


class _Paging(NamedTuple):
    """The vitals that page, causes first, and what each has to do with the others."""

    order: tuple[str, ...]
    causes: Mapping[str, frozenset[str]]
    hold: Mapping[str, float]

    def near(self, name: str) -> list[str]:
        """Return what may share a cause with a vital without being its cause."""
        causes = self.causes[name]
        return [
            other
            for other in self.order
            if other not in causes
            and other != name
            and (name in self.causes[other] or causes & self.causes[other])
        ]


def _paging(plan: Plan) -> _Paging:
    causes = closed(vital.vital for vital in plan.vitals)
    pages = [
        vital
        for vital in plan.vitals
        if vital.applicable
        and any(alert.labels["priority"] == _URGENT for alert in vital.alerts)
    ]
    # What follows from a symptom follows from its cause too, so this puts it first.
    pages.sort(
        key=lambda vital: -sum(vital.name in symptoms for symptoms in causes.values())
    )
    return _Paging(
        tuple(vital.name for vital in pages),
        causes,
        {vital.name: _drained(vital.vital, plan) for vital in pages},
    )


def _drained(vital: Vital, plan: Plan) -> float:
    """Return how long a vital stays part of a fault that has ended, in seconds."""
    interval = parse_duration(plan.site.inputs.interval)
    values = parameters.of(vital, None, interval, {})
    text = parameters.fill(vital.drains, values, f"vital {vital.name}, drains")
    return parse_duration(text) + _HOLD_SECONDS


def symptom_of(plan: Plan) -> dict[str, str]:
    """Return by vital what its alerts may follow from, as annotated."""
    causes = closed(vital.vital for vital in plan.vitals)
    return {name: " ".join(sorted(causes)) for name, causes in causes.items() if causes}


def inhibitions(plan: Plan) -> list[InhibitRule]:
    """Return the inhibition rules.

    `env` is an external label: missing on both sides it would count as equal, and
    staging would mute production. A drill mutes nothing.
    """
    paging = _paging(plan)
    same = ["env", "project", *plan.labels]
    rules = [
        InhibitRule(
            source_matchers=[f'alertname="{INHIBITOR}"', NO_DRILLS],
            target_matchers=[f'priority="{_URGENT}"', NO_DRILLS],
            equal=["vital", *same],
        ),
        # Of one vital, the page mutes the warning that came before it.
        InhibitRule(
            source_matchers=[f'priority="{_URGENT}"', 'vital=~".+"', NO_DRILLS],
            target_matchers=[_LESS, NO_DRILLS],
            equal=["vital", "job", "instance", *same],
        ),
    ]
    for cause in paging.order:
        symptoms = [
            vital.name for vital in plan.vitals if cause in paging.causes[vital.name]
        ]
        if symptoms:
            rules.append(
                InhibitRule(
                    source_matchers=[
                        f'vital="{cause}"',
                        f'priority="{_URGENT}"',
                        NO_DRILLS,
                    ],
                    target_matchers=[
                        f'vital=~"{"|".join(symptoms)}"',
                        _LESS,
                        NO_DRILLS,
                    ],
                    equal=same,
                )
            )
    return rules


def page_wait(plan: Plan) -> str:
    """Return how long a page waits: until the inhibitor of a second one is evaluated.

    Groups of rules are not evaluated together, so an evaluation may lie between an
    alert and its inhibitor; then both have to reach Alertmanager.
    """
    return format_duration(parse_duration(plan.site.inputs.interval) + _REACH_SECONDS)


def prompt(plan: Plan) -> tuple[list[str], str]:
    """Return the vitals that page sooner, and how long these wait.

    Their inhibitors stand behind them in one group, so only the way is waited for.
    """
    near = {vital.name for vital in plan.vitals if vital.vital.group == GROUP}
    names = [name for name in _paging(plan).order if name in near]
    return names, format_duration(_REACH_SECONDS)


def rules(plan: Plan) -> list[Rule]:
    """Return the record of who pages, and an inhibitor for each vital that may follow.

    They are one group, in this order: which alert pages is known before which it mutes.
    Of two that begin in one evaluation the cause leads.
    """
    paging = _paging(plan)
    linked = [n for n in paging.order if paging.near(n) or _caused(paging, n)]
    if not linked:
        return []
    return [
        Rule(record=LEADS, expr=_leads(plan, linked), labels=plan.labels),
        Rule(record=PAGED, expr=_outlasted(plan), labels=plan.labels),
        *(
            Rule(
                alert=INHIBITOR,
                expr=_explained(plan, paging, name),
                labels={
                    "severity": "none",
                    "priority": "none",
                    "vital": name,
                    **plan.labels,
                },
                annotations={
                    "summary": f"{name} belongs to a fault that was already paged",
                    "description": (
                        f"{name} sends no page of its own: {{{{ $labels.cause }}}} "
                        "was paged, and both are the same fault. This alert only "
                        "mutes the second page in Alertmanager; it notifies nobody."
                    ),
                },
            )
            for name in linked
        ),
    ]


def _caused(paging: _Paging, name: str) -> list[str]:
    return [other for other in paging.order if other in paging.causes[name]]


def _own(plan: Plan, *matchers: str, vital: str = "") -> str:
    if vital:
        matchers = (f'vital="{vital}"', *matchers)
    labels = [f'{name}="{value}"' for name, value in plan.labels.items()]
    both = ",".join([*matchers, *labels])
    return f"{{{both}}}" if both else ""


def _leads(plan: Plan, names: Iterable[str]) -> str:
    """Return since when each vital is what its fault was paged for."""
    by = ", ".join(["vital", *plan.labels])
    fires = _own(
        plan,
        'alertstate="firing"',
        f'priority="{_URGENT}"',
        NO_DRILLS,
        f'vital=~"{"|".join(names)}"',
    )
    firing = f"max by ({by}) (ALERTS{fires})"
    muted = _own(plan, f'alertname="{INHIBITOR}"', 'alertstate="firing"')
    return (
        f"({LEADS}{_own(plan)} and on ({by}) {firing}"
        f" or on ({by}) ({firing} * 0 + time()))"
        f" unless on ({by}) ALERTS{muted}"
    )


def _outlasted(plan: Plan) -> str:
    """Return since when each vital leads, once it has outlasted the wait of its page.

    An alert that ends while its group still waits is never sent. What fires in this
    evaluation fires until the next.
    """
    interval = parse_duration(plan.site.inputs.interval)
    soon, wait = prompt(plan)
    vitals = "|".join(soon)
    return " or ".join(
        f"{LEADS}{_own(plan, matcher)} < time() - {parse_duration(length) - interval:g}"
        for matcher, length in (
            (f'vital=~"{vitals}"', wait),
            (f'vital!~"{vitals}"', page_wait(plan)),
        )
    )


def _explained(plan: Plan, paging: _Paging, name: str) -> str:
    """Return what holds while a page of `name` would be a second one of its fault."""
    join_labels = ", ".join(plan.labels)
    at = paging.order.index(name)
    caused, near = _caused(paging, name), paging.near(name)
    first = [other for other in near if paging.order.index(other) < at]
    later = [other for other in near if paging.order.index(other) > at]

    def leads(names: Iterable[str], record: str = LEADS) -> str:
        return record + _own(plan, f'vital=~"{"|".join(names)}"')

    lately = f"> time() - {NEAR_SECONDS}"
    parts = []
    if caused:
        parts.append(leads(caused))
        # A cause that is itself part of a fault, and may outlast what was paged for it.
        each, vitals = (
            ", ".join(["vital", *plan.labels]),
            f'vital=~"{"|".join(caused)}"',
        )
        fires = _own(plan, _FIRES, NO_DRILLS, vitals)
        part = _own(plan, f'alertname="{INHIBITOR}"', 'alertstate="firing"', vitals)
        parts.append(f"max by ({each}) (ALERTS{fires}) and on ({each}) ALERTS{part}")
    if first:
        parts.append(f"{leads(first)} {lately}")
    if later:
        # What begins only now has yet to be paged: then the one before goes first.
        parts.append(f"({leads(later)} {lately}) < time()")
    active = _own(plan, f'priority="{_URGENT}"', NO_DRILLS, vital=name)
    muted = _own(plan, f'alertname="{INHIBITOR}"', 'alertstate="firing"', vital=name)
    parts.append(
        f"last_over_time({leads([*caused, *near], PAGED)}[{paging.hold[name]:.0f}s])"
        f" and on ({join_labels}) ALERTS{active} and on ({join_labels}) ALERTS{muted}"
    )
    by = ", ".join(["cause", *plan.labels])
    paged = f"{LEADS}{_own(plan, vital=name)} < time()"
    return (
        f"group by ({by}) (label_replace(({' or '.join(parts)})"
        f' unless on ({join_labels}) {paged}, "cause", "$1", "vital", "(.+)"))'
    )
