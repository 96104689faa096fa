"""The catalogue filled in for one site: every template gone, every selector known."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from watchroom.catalogue import blind, parameters, scopes
from watchroom.derive import births, known_series, panels, selectors
from watchroom.derive.site import rule_labels, select_labels
from watchroom.errors import ConfigError, FormatError
from watchroom.formats import series
from watchroom.units import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from watchroom.catalogue.model import Alert, Drill, Runbook, Vital
    from watchroom.derive.panels import PlannedChart, PlannedPanel
    from watchroom.derive.site import Site

_FENCE = re.compile(r"```promql\n(.*?)```", re.DOTALL)
_ENGINE_QUERY = re.compile(r"\{\{[^}]*\bquery\b")
_OWN_RESULTS = frozenset({"ALERTS", "ALERTS_FOR_STATE"})


class PlannedAlert(NamedTuple):
    """An alert with its templates filled in; `alert` keeps what was not one."""

    alert: Alert
    expr: str
    labels: dict[str, str]
    summary: str
    description: str
    runbook: Runbook
    drill: Drill
    budget_seconds: float

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.alert.name


class PlannedVital(NamedTuple):
    """A vital filled in for a site."""

    vital: Vital
    records: tuple[tuple[str, str], ...]
    alerts: tuple[PlannedAlert, ...]
    panel: PlannedPanel | None
    applicable: bool
    charts: tuple[PlannedChart, ...] = ()

    @property
    def name(self) -> str:
        """The vital's name."""
        return self.vital.name


class _Queries(NamedTuple):
    """What checks and narrows the expressions of a vital.

    Attributes:
        judged: To what its scopes let through.
        whole: To all of its series. A vital of some label values is blind only when
            all are missing: a route that nobody has asked for yet is calm, and so is
            a project whose only file system is ignored.
        drawn: As `judged`, for charts. Grafana fills their range in, which no number
            can be divided by, so they leave out what `births` counts.
    """

    judged: Callable[[str, str], str]
    whole: Callable[[str, str], str]
    drawn: Callable[[str, str], str]

    def of(self, alert: Alert) -> Callable[[str, str], str]:
        """Return what an alert needs; the tile and the blind alert need the same."""
        return self.whole if blind.LABEL in alert.labels else self.judged


class Plan(NamedTuple):
    """Everything that files are made from."""

    site: Site
    vitals: tuple[PlannedVital, ...]
    labels: dict[str, str]
    target_labels: dict[str, str]


def plan(
    vitals: Iterable[Vital], site: Site, known: Mapping[str, Collection[str]]
) -> Plan:
    """Return the catalogue filled in for `site`.

    Args:
        vitals: The catalogue, overrides applied.
        site: Where, and how it is built.
        known: The labels of every series that the app and its exporter serve, by name.

    Raises:
        ConfigError: A template names no parameter, an expression does not parse or
            reads an unknown metric, a record is defined twice, a rule has no drill, a
            drill does not parse; it names the vital.
    """
    chosen = [_with_inputs(vital, site) for vital in vitals]
    records = _record_names(chosen, site)
    labels = rule_labels(site.inputs)
    own = ",".join(f'{name}="{value}"' for name, value in labels.items())
    own_labels = {*labels, *select_labels(site.inputs)}
    names = {*known, *known_series.BUILT_IN, *records}

    def query_of(vital: Vital) -> Callable[[str, str], str]:
        scoped = scopes.matchers(vital, known)

        def extra(name: str) -> str:
            if name in records or name in _OWN_RESULTS:
                return own
            return ",".join(filter(None, (site.inputs.select, scoped.get(name))))

        def query(expr: str, where: str) -> str:
            for selector in selectors.names(expr, where):
                name = selector.metric
                known_series.check_name(name, names, where)
                if name in known:
                    known_series.check_labels(
                        selector, {*known[name], *own_labels}, where
                    )
            return selectors.narrow(expr, extra, where)

        return query

    def queries_of(vital: Vital) -> _Queries:
        judged, whole = query_of(vital), query_of(replace(vital, scopes=()))
        return _Queries(
            lambda expr, where: judged(births.whole(expr, where), where),
            lambda expr, where: whole(births.whole(expr, where), where),
            judged,
        )

    recorded: dict[str, tuple[str, str]] = {}
    planned = tuple(
        _vital(drilled, at, site, labels, queries_of(vital), recorded)
        for at, vital in enumerate(chosen, 1)
        for drilled in [scopes.drilled(vital, known)]
    )
    _check_names(planned)
    return Plan(site, planned, labels, select_labels(site.inputs))


def _with_inputs(vital: Vital, site: Site) -> Vital:
    """Return the vital with the window and `for` of the whole build, if it has them.

    Of what the project does not have, nothing can be missing.
    """
    if not _applicable(vital, site):
        alerts = tuple(a for a in vital.alerts if blind.LABEL not in a.labels)
        vital = replace(vital, alerts=alerts)
    if site.inputs.window is not None:
        vital = replace(vital, window=site.inputs.window)
    least = 4 * parse_duration(site.inputs.interval)
    if vital.stretches and parse_duration(vital.window) < least:
        vital = replace(vital, window=format_duration(least))
    if site.inputs.for_ is not None:
        hold = site.inputs.for_
        vital = replace(
            vital,
            # An alert without `for` also has none accelerated.
            alerts=tuple(
                a if parse_duration(a.for_) == 0 else replace(a, for_=hold)
                for a in vital.alerts
            ),
        )
    return vital


def _applicable(vital: Vital, site: Site) -> bool:
    return not vital.needs or vital.needs in site.has


def _values(vital: Vital, alert: Alert | None, site: Site) -> dict[str, str]:
    interval = parse_duration(site.inputs.interval)
    urls = {"exporter": f"http://{site.exporter}", "monitor": site.monitor_url}
    return parameters.of(vital, alert, interval, urls)


def _record_names(vitals: Iterable[Vital], site: Site) -> set[str]:
    names = set()
    for vital in vitals:
        values = _values(vital, None, site)
        names |= {parameters.fill(r.name, values, vital.name) for r in vital.records}
    return names


def _vital(
    vital: Vital,
    at: int,
    site: Site,
    labels: Mapping[str, str],
    queries: _Queries,
    recorded: dict[str, tuple[str, str]],
) -> PlannedVital:
    values = _values(vital, None, site)
    interval = parse_duration(site.inputs.interval)
    window = parse_duration(vital.window)
    if (vital.records or "$window" in vital.alerts[0].expr) and window < 2 * interval:
        raise ConfigError(
            f"the window of the vital {vital.name}, {vital.window}, is too short for "
            f"two samples at an interval of {site.inputs.interval}",
            hint="make the window at least four intervals long",
        )
    records = []
    for record in vital.records:
        name = parameters.fill(record.name, values, vital.name)
        where = f"vital {vital.name}, record {name}"
        expr = queries.judged(parameters.fill(record.expr, values, where), where)
        before = recorded.get(name)
        if before is not None and before[0] != expr:
            raise ConfigError(
                f"the vitals {before[1]} and {vital.name} record {name} from "
                "different expressions",
                hint="give one of the records another name",
            )
        if before is None:
            recorded[name] = expr, vital.name
            records.append((name, expr))
    return PlannedVital(
        vital,
        tuple(records),
        tuple(
            _alert(vital, alert, site, labels, queries.of(alert))
            for alert in vital.alerts
        ),
        panels.panel(vital, at, values, queries.judged, queries.whole),
        _applicable(vital, site),
        tuple(
            panels.chart(vital, chart, values, queries.drawn) for chart in vital.charts
        ),
    )


def _alert(
    vital: Vital,
    alert: Alert,
    site: Site,
    labels: Mapping[str, str],
    query: Callable[[str, str], str],
) -> PlannedAlert:
    where = f"vital {vital.name}, alert {alert.name}"
    values = _values(vital, alert, site)

    def fill(text: str) -> str:
        return parameters.fill(text, values, where)

    for text in (alert.summary, alert.description):
        if _ENGINE_QUERY.search(text):
            raise ConfigError(
                f"{where}: a text can't call query",
                hint="use Top(…), whose selectors are checked and narrowed",
            )
    description = fill(alert.description)
    if alert.top is not None:
        top = query(_with_marks(fill(alert.top.expr)), where)
        description += _top_text(top, alert.top.item, fill(alert.top.lead))
    interval = parse_duration(site.inputs.interval)

    def page(text: str) -> str:
        return _FENCE.sub(
            lambda m: f"```promql\n{query(m[1].strip(), where)}\n```", fill(text)
        )

    return PlannedAlert(
        alert=alert,
        expr=query(fill(alert.expr), where),
        labels={
            "severity": alert.severity,
            "priority": alert.priority,
            "vital": vital.name,
            **alert.labels,
            **labels,
        },
        summary=fill(alert.summary),
        description=description,
        runbook=alert.runbook.map(page),
        drill=_drill(alert.drill, fill, where),
        # Discovery, a scrape before the fault shows and one after, the evaluation, and
        # the delivery; guards count up to five events in the first faulty scrapes.
        budget_seconds=parse_duration(alert.for_) + 6 * interval + 10,
    )


def _drill(drill: Drill, fill: Callable[[str], str], where: str) -> Drill:
    filled = replace(
        drill,
        fault=tuple(map(fill, drill.fault)),
        recovery=tuple(map(fill, drill.recovery)),
        calm=tuple(map(fill, drill.calm)),
    )
    if not filled.fault and not filled.exempt:
        raise ConfigError(
            f"{where} has no drill",
            hint="give it fault=(…) in series notation, or Drill.none('why not')",
        )
    down = filled.fault == ("down",)
    if not (filled.exempt or down or filled.recovery):
        raise ConfigError(
            f"{where}: the drill has no recovery",
            hint="give the series that resolve the alert: recovery=(…)",
        )
    try:
        series.parse_all(() if down else filled.fault)
        series.parse_all(filled.recovery)
        series.parse_all(filled.calm)
    except FormatError as error:
        raise ConfigError(f"{where}: the drill can't be parsed: {error}") from None
    return filled


def _with_marks(expr: str) -> str:
    """Return `expr` with each quoted ``$labels.x`` made a mark that a string may be."""
    return re.sub(r'"\$labels\.(\w+)"', r'"<<\1>>"', expr)


def _top_text(expr: str, item: str, lead: str) -> str:
    """Return the template that names the samples of `expr`.

    Label values are quoted by the engine (``%q``): a value with a quote in it stays a
    value.
    """
    arguments = re.findall(r'"<<(\w+)>>"', expr)
    pattern = re.sub(r'"<<\w+>>"', "%q", expr.replace("%", "%%"))
    values = "".join(f" $labels.{name}" for name in arguments)
    call = f"query (printf `{pattern}`{values})" if values else f"query `{expr}`"
    return (
        f"{{{{ with {call} }}}} {lead}"
        "{{ range $i, $each := . }}{{ if $i }}, {{ end }}"
        f"{item}{{{{ end }}}}.{{{{ end }}}}"
    )


def _check_names(vitals: Iterable[PlannedVital]) -> None:
    """Refuse one alert name in two vitals: they would share a runbook page."""
    owners: dict[str, str] = {}
    for vital in vitals:
        for alert in vital.alerts:
            owner = owners.setdefault(alert.name, vital.name)
            if owner != vital.name:
                raise ConfigError(
                    f"the vitals {owner} and {vital.name} both have an alert "
                    f"{alert.name}",
                    hint="rename one of them: each alert has one runbook page",
                )
