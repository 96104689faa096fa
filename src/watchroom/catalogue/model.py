"""The model of a vital: one definition from which every file and proof is derived.

Texts are templates. ``$window``, ``$limit`` and the other parameters (see
`watchroom.catalogue.parameters`) are filled in when the files are built, in PromQL
and prose alike; ``$value``, ``$labels`` and ``$externalLabels`` are left to the
alerting engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Severity = Literal["critical", "warning", "info", "none"]
Priority = Literal["P1", "P2", "P3", "none"]
Bad = Literal["above", "below"]


@dataclass(frozen=True, slots=True)
class Record:
    """A recording rule.

    Attributes:
        name: ``level:metric:operation``, usually ending in the window.
        expr: PromQL.
    """

    name: str
    expr: str


@dataclass(frozen=True, slots=True)
class Top:
    """The worst offenders, named in an alert's description.

    Attributes:
        expr: PromQL, usually a topk; a matcher may compare with a label of the alert:
            ``job="$labels.job"``.
        item: A Go template for one sample: ``{{ .Labels.route }}``, ``{{ .Value }}``.
        lead: The words before the list, written only when it is not empty.
    """

    expr: str
    item: str
    lead: str = "Worst: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook:
    """What to do about an alert; each part is Markdown.

    Attributes:
        meaning: What is true when it fires.
        impact: What users and the business notice.
        diagnosis: How to find the cause, with queries and commands that run.
        mitigation: How to stop the harm, with commands.
    """

    meaning: str
    impact: str
    diagnosis: str
    mitigation: str

    def map(self, change: Callable[[str], str]) -> Runbook:
        """Return the runbook with each part changed."""
        return Runbook(
            meaning=change(self.meaning),
            impact=change(self.impact),
            diagnosis=change(self.diagnosis),
            mitigation=change(self.mitigation),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Drill:
    """How to make an alert fire on purpose, and how it stops.

    Series are in promtool's notation, one step a scrape interval, without ``job`` and
    ``instance``: a drill's target adds them. ``$steps`` outlasts the window, the `for`
    and the delivery.

    Attributes:
        fault: Series that make the alert fire, or ``("down",)``: the target
            answers 503.
        recovery: Added to the fault's last values, so that the alert ends at once.
        calm: Series near the limit that must not fire, for the rule's unit test.
        labels: Labels that the alert must have too: ``{"alias": "drill"}``.
        exempt: Why no drill target can show the fault; then `fault` is only for the
            rule's unit test and its series carry ``job`` and ``instance`` themselves.
    """

    fault: tuple[str, ...] = ()
    recovery: tuple[str, ...] = ()
    calm: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    exempt: str = ""

    @classmethod
    def none(
        cls,
        reason: str,
        *,
        fault: tuple[str, ...] = (),
        calm: tuple[str, ...] = (),
        labels: Mapping[str, str] | None = None,
    ) -> Drill:
        """Return the exemption of a rule that no drill target can make fire."""
        return cls(fault=fault, calm=calm, labels=labels or {}, exempt=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alerting rule with everything that a person needs once it fires.

    Attributes:
        name: One page, one meaning: ``HighErrorRate``.
        expr: PromQL; keep ``job`` in every aggregation, it carries the drill.
        for_: How long it must hold, a duration.
        severity: Which receivers are notified.
        priority: P1 is felt by customers, P2 degraded, P3 minor.
        summary: One line for a phone's screen.
        description: One or two sentences.
        runbook: Its page.
        drill: Its proof.
        top: Names the worst offenders in the description.
        labels: More labels.
    """

    name: str
    expr: str
    for_: str
    severity: Severity
    priority: Priority
    summary: str
    description: str
    runbook: Runbook
    drill: Drill
    top: Top | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Otherwise:
    """What a tile says when there is nothing to judge, although nothing is missing.

    Attributes:
        words: ``no limit``.
        expr: PromQL of the number that is shown then.
        unit: Grafana's name of its unit.
    """

    words: str
    expr: str
    unit: str = "short"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The tile of a vital: one number against its limit.

    Attributes:
        expr: PromQL with one result; leave the drills out: ``job!~"drill-.+"``.
        presence: PromQL ``count(…)`` of the series behind `expr`: none is blindness,
            some without a value is idleness. Where they appear with the first event,
            ``or`` says what else is calm.
        otherwise: What it says where its subject has no limit here.
        unit: Grafana's name of the unit: ``percentunit``, ``s``, ``short``.
        bad: On which side of the limit trouble lies.
        limit: Template of the number where it turns red; the vital's own by default.
        decimals: Digits after the point.
    """

    expr: str
    presence: str
    otherwise: Otherwise | None = None
    unit: str = "short"
    bad: Bad = "above"
    limit: str = "$limit"
    decimals: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind:
    """The alert that a vital's series are missing, made from its panel's presence.

    Attributes:
        name: ``DatabaseUnobserved``.
        why: What may be the reason, and how to see it; Markdown.
        remedy: What to do then; Markdown.
        job: Whose target serves the series, where it is not the exporter's own.
        for_: How long they must be missing; at least two scrapes.
        severity: Which receivers are notified.
        priority: P3, unless the fault it would miss is one that pages.
        seen: Series that end its drill; by default those of the first alert's `calm`.
    """

    name: str
    why: str
    remedy: str
    job: str = "app"
    for_: str = "5m"
    severity: Severity = "warning"
    priority: Priority = "P3"
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a chart.

    Attributes:
        expr: PromQL. ``{$targets}`` selects what the reader chose by job and instance,
            ``{$jobs}`` by job alone, for records; ``[$rate_interval]`` fits the zoom.
        legend: A name for each series: ``p95``, ``{{alias}}``.
    """

    expr: str
    legend: str


# The rows of the dashboard in order: the guide's five groups, then the other signals.
# A row that is not named here comes after them.
ROWS = (
    "Request rate and 5xx",
    "Latency",
    "Database",
    "Memory and CPU",
    "Celery",
    "Cache",
    "Health",
    "Disks and certificates",
    "Monitoring",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A vital's past as lines over time.

    Attributes:
        title: What it shows.
        description: How to read it, in a sentence or two.
        row: The heading that it is under; one of `ROWS`, or another.
        queries: At least one.
        unit: Grafana's name of the unit: ``percentunit``, ``s``, ``reqps``.
        limit: Template of the number where a line is drawn; empty for none.
        bad: On which side of the limit trouble lies.
        decimals: Digits after the point.
        stacked: Whether the series add up to a whole.
    """

    title: str
    description: str
    row: str
    queries: tuple[Query, ...]
    unit: str = "short"
    limit: str = ""
    bad: Bad = "above"
    decimals: int | None = None
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class ChecklistItem:
    """An item of the launch checklist that this vital answers.

    Attributes:
        id: Stable: ``alerting-rules``.
        title: As people read it.
    """

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Scope:
    """Which series a vital judges, by one label.

    Attributes:
        label: The label, or a word for it: ``route``, ``task``, ``queue``, ``alias``.
        patterns: Its values; ``*`` matches anything.
        inside: Whether only those are judged, or all but those.
    """

    label: str
    patterns: tuple[str, ...]
    inside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Vital:
    """One thing worth knowing about a running app, defined once.

    Attributes:
        title: The tile's text.
        metrics: The names of the metrics it is made from.
        alerts: At least one; the first one's name is the vital's.
        records: Recording rules, in the order they are evaluated.
        panel: Its tile; None for what needs none.
        blind: The alert that its series are missing.
        charts: Its past, for the dashboard.
        checklist: What it answers of the launch checklist.
        group: Vitals of one group share a rule group, so that they share records.
        unit: The unit of `limit`, for prose: ``share``, ``seconds`` or ``count``.
        limit: The threshold in base units: seconds, a share of 1, a count.
        window: The range of its rates, a duration.
        needs: What must be configured for it to apply: ``sites``; empty is nothing.
        parameters: More names for its templates.
        scopes: What of its series it judges; a project's overrides make them.
        symptom_of: The vitals it may follow from, by name. While one of them is paged,
            it is part of that fault: listed in its incident, no page of its own. Two
            that may follow from the same one and begin together are one fault as well.
        drains: Template of how long its rule may still hold after a fault has ended:
            the window that empties last. For so long it stays part of that fault.
        stretches: Whether a window of under four scrapes becomes four scrapes long.
        ignores_with: The vital whose `ignore`, and whose patterns with limits of their
            own, this one leaves out too, unless it has an `ignore` of its own.
    """

    title: str
    metrics: tuple[str, ...]
    alerts: tuple[Alert, ...]
    records: tuple[Record, ...] = ()
    panel: Panel | None = None
    blind: Blind | None = None
    charts: tuple[Chart, ...] = ()
    checklist: ChecklistItem | None = None
    group: str = "project"
    unit: str = "count"
    limit: float | None = None
    window: str = "5m"
    needs: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    scopes: tuple[Scope, ...] = ()
    symptom_of: tuple[str, ...] = ()
    drains: str = "$window"
    stretches: bool = False
    ignores_with: str = ""

    def __post_init__(self) -> None:
        if not self.alerts:
            raise ConfigError(
                f"the vital {self.title!r} has no alert",
                hint="add alerts=(Alert(…),)",
            )

    @property
    def name(self) -> str:
        """The first alert's name."""
        return self.alerts[0].name
