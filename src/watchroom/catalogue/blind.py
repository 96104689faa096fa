"""The sibling of a vital that fires when its series are missing: the vital is blind.

A rule over series that are not there is silent, which looks like health. So each
vital's presence expression, which its tile already counts, becomes an alert of its own:
some exporter answers, and the series that it should serve are gone. While no exporter
answers, TargetDown says so and this one does not fire.
"""

from __future__ import annotations

from dataclasses import replace
from string import Template
from typing import TYPE_CHECKING

from watchroom.catalogue.model import Alert, Blind, Drill
from watchroom.catalogue.prose import beside
from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from watchroom.catalogue.model import Vital

TEXTS = beside(__name__)

# Marks these alerts for the pages: the vital has no data, it isn't bad.
LABEL = "blind"
# The exporter's own series stands for its answer; `up` would also be a drill's.
_ANSWERS = "watchroom_exporter_info"
_COUNT = "count("
_EVERY_JOB = 'job!=""'


def sibling(vital: Vital) -> Alert | None:
    """Return the alert that a vital has no data; None without `Vital.blind`.

    Raises:
        ConfigError: The vital has no presence of the form ``count(…)``, or nothing
            ends its drill.
    """
    blind = vital.blind
    if blind is None:
        return None
    panel = vital.panel
    presence = panel.presence.strip() if panel is not None else ""
    if not (presence.startswith(_COUNT) and presence.endswith(")")):
        raise ConfigError(
            f"missing data of the vital {vital.name} can't be detected",
            hint='give its panel a presence: "count(the_metric{$real})"',
        )
    series = presence.removeprefix(_COUNT)[:-1].replace("$real", _EVERY_JOB)
    present = f"group by (job) ({series})"
    if blind.job != "app":
        present = f'label_replace({present}, "job", "app", "job", "{blind.job}")'
    seen = blind.seen or vital.alerts[0].drill.calm
    if not seen or any("job=" in line for line in seen):
        raise ConfigError(
            f"the vital {vital.name}: nothing ends the drill of {blind.name}",
            hint="say in Blind(seen=(…)) which series are enough, without a job",
        )
    answers = f'{_ANSWERS}{{version="drill"}} 1+0x$steps'
    words = TEXTS.alert("Unobserved")
    known = {
        "title": vital.title,
        "vital": vital.name,
        "metrics": "|".join(vital.metrics),
        "series": series.replace(_EVERY_JOB, "$real"),
        "why": blind.why.strip(),
        "remedy": blind.remedy.strip(),
    }

    def filled(template: str) -> str:
        return Template(template).safe_substitute(known)

    return Alert(
        name=blind.name,
        expr=f"group by (job) ({_ANSWERS}) unless on (job) {present}",
        for_=blind.for_,
        severity=blind.severity,
        priority=blind.priority,
        summary=filled(words["summary"]),
        description=filled(words["description"]),
        runbook=words["runbook"].map(filled),
        drill=Drill(fault=(answers,), recovery=(answers, *seen)),
        labels={LABEL: "true"},
    )


def of_gauges(vital: Vital, gauges: frozenset[str]) -> Vital:
    """Return a project's vital with a sibling, if it is made of its gauges alone.

    A gauge is asked whether or not anything happens, so that its absence is a fault. A
    counter with labels is absent until the first event, which only its author can tell.
    """
    panel, drill = vital.panel, vital.alerts[0].drill
    seen = drill.calm or drill.recovery
    gauges_only = bool(vital.metrics) and gauges.issuperset(vital.metrics)
    counted = panel is not None and panel.presence.startswith(_COUNT)
    if (
        vital.blind is not None
        or not (gauges_only and counted and seen)
        or drill.exempt
    ):
        return vital
    return replace(
        vital,
        blind=replace(
            Blind(**TEXTS.unseen("GaugeUnobserved")),
            name=f"{vital.name}Unobserved",
            seen=seen,
        ),
    )
