"""One catalogue from the standard vitals, a project's own and its overrides."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, get_args

from watchroom.catalogue import scopes
from watchroom.catalogue.blind import of_gauges, sibling
from watchroom.catalogue.collected import COLLECTED
from watchroom.catalogue.metrics import METRICS, Metric, edges
from watchroom.catalogue.model import Priority, Severity, Vital
from watchroom.catalogue.standard import VITALS
from watchroom.catalogue.standard.http.budget import OBJECTIVE
from watchroom.catalogue.standard.http.budget import VITALS as BUDGETS
from watchroom.errors import ConfigError
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_RESTART = (
    " This limit is a bucket edge of its own, which the app's processes create when "
    "they next start. Until you restart them, this alert has no data."
)
_PRIORITY: dict[str, Priority] = {"critical": "P1", "info": "P3", "none": "none"}


class Override(NamedTuple):
    """What a project changes of a vital; None keeps the catalogue's value.

    Attributes:
        limit: In base units.
        window: A duration.
        for_: A duration, of every alert of the vital.
        severity: Of the vital's first alert.
        ignore: Label values that are not judged, as patterns by label.
        limits: Label values with a limit of their own: limits by pattern by label.
    """

    limit: float | None = None
    window: str | None = None
    for_: str | None = None
    severity: str | None = None
    ignore: Mapping[str, tuple[str, ...]] = {}
    limits: Mapping[str, Mapping[str, float]] = {}


def catalogue(
    own: Iterable[Vital],
    overrides: Mapping[str, Override],
    metrics: Iterable[Metric] = (),
    objective: float = OBJECTIVE,
) -> tuple[Vital, ...]:
    """Return the standard vitals, then a project's own, overrides applied.

    Args:
        own: A project's own.
        overrides: Its changes, by vital.
        metrics: Its own metrics: of gauges, which the exporter always asks, a vital
            gets the sibling that fires when it is blind.
        objective: The share of requests that are to succeed.

    Raises:
        ConfigError: Two vitals have one name, or an override names no vital or a value
            that cannot be.
    """
    gauges = frozenset(metric.name for metric in metrics if metric.kind == "gauge")
    vitals: dict[str, Vital] = {}
    # Without the last bits of a subtraction, which no rule should show.
    budget = round(1 - objective, 9)
    for vital in (
        *(replace(v, limit=budget) if v in BUDGETS else v for v in VITALS),
        *(of_gauges(vital, gauges) for vital in own),
    ):
        if vital.name in vitals:
            raise ConfigError(
                f"there are two vitals {vital.name}",
                hint="rename yours; to change a standard one use WATCHROOM['VITALS']",
            )
        vitals[vital.name] = vital
    for name, override in overrides.items():
        if name not in vitals:
            near = difflib.get_close_matches(name, vitals, n=1)
            raise ConfigError(
                f"there is no vital {name!r}",
                field="VITALS",
                hint=f"did you mean {near[0]!r}?"
                if near
                else f"there are {', '.join(vitals)}",
            )
        vitals[name] = overridden(vitals[name], override)
    overrides = _followed(vitals.values(), overrides)
    for name, override in overrides.items():
        vitals[name], *variants = _scoped(vitals[name], override)
        for vital in variants:
            if vital.name in vitals:
                raise ConfigError(
                    f"there would be two vitals {vital.name}",
                    field=f"VITALS[{name!r}]['limits']",
                    hint="their patterns have the same letters and digits; join them",
                )
            # At the end, so that the standard tiles keep their positions.
            vitals[vital.name] = vital
    return tuple(_with_sibling(_with_restart(vital)) for vital in vitals.values())


def _followed(
    vitals: Iterable[Vital], overrides: Mapping[str, Override]
) -> dict[str, Override]:
    """Return the overrides with what vitals leave out because another one does."""
    followed = dict(overrides)
    for vital in vitals:
        own, other = (
            followed.get(vital.name, Override()),
            followed.get(vital.ignores_with),
        )
        if other is None or own.ignore:
            continue
        ignored = {label: tuple(patterns) for label, patterns in other.ignore.items()}
        for label, limits in other.limits.items():
            ignored[label] = (*ignored.get(label, ()), *limits)
        if ignored:
            followed[vital.name] = own._replace(ignore=ignored)
    return followed


def _with_restart(vital: Vital) -> Vital:
    """Return the vital, noting it if its limit isn't a bucket edge by default.

    The tile shows the meaning, and it is the tile that stays blind.
    """
    if vital.limit is None or not _uses(vital, "$limit_le"):
        return vital
    known = {
        edge
        for metric in METRICS
        if metric.kind == "histogram" and metric.name in vital.metrics
        for edge in edges(metric, {})
    }
    if not known or vital.limit in known:
        return vital
    return scopes.saying(vital, _RESTART)


def _scoped(vital: Vital, override: Override) -> Iterator[Vital]:
    """Yield a vital without what is ignored or has limits of its own, then those."""
    ignored = {label: tuple(patterns) for label, patterns in override.ignore.items()}
    variants = []
    for label, limits in override.limits.items():
        for pattern, limit in limits.items():
            _check_limit(
                vital,
                limit,
                f"VITALS[{vital.name!r}]['limits'][{label!r}][{pattern!r}]",
            )
            variant = scopes.variant(vital, label, pattern, limit)
            # The first pattern that matches decides.
            variants.append(scopes.ignoring(variant, ignored))
            ignored[label] = (*ignored.get(label, ()), pattern)
    yield scopes.ignoring(vital, ignored)
    yield from variants


def _with_sibling(vital: Vital) -> Vital:
    """Return the vital with the alert of its blindness as its last."""
    alert = sibling(vital)
    if alert is None:
        return vital
    return replace(vital, alerts=(*vital.alerts, alert))


def overridden(vital: Vital, override: Override) -> Vital:
    """Return `vital` with a project's changes.

    Raises:
        ConfigError: A value cannot be; the field names it.
    """
    field = f"VITALS[{vital.name!r}]"
    alerts = list(vital.alerts)
    if override.for_ is not None:
        _duration(override.for_, f"{field}['for']")
        alerts = [replace(alert, for_=override.for_) for alert in alerts]
    if override.severity is not None:
        severity = _severity(override.severity, f"{field}['severity']")
        first = alerts[0]
        # A warning of the catalogue keeps its own P2 or P3.
        default = "P2" if first.severity == "critical" else first.priority
        priority = _PRIORITY.get(severity, default)
        alerts[0] = replace(first, severity=severity, priority=priority)
    if override.window is not None:
        _duration(override.window, f"{field}['window']")
        if not _uses(vital, "$window"):
            raise _unchangeable(vital, "window", f"{field}['window']")
        vital = replace(vital, window=override.window)
    if override.limit is not None:
        _check_limit(vital, override.limit, f"{field}['limit']")
        vital = replace(vital, limit=override.limit)
    return replace(vital, alerts=tuple(alerts))


def _check_limit(vital: Vital, limit: float, field: str) -> None:
    if vital.limit is None or not _uses(vital, "$limit"):
        raise _unchangeable(vital, "limit", field)
    if limit <= 0 or (vital.unit == "share" and limit > 1):
        raise ConfigError(
            f"{limit:g} isn't a {vital.unit}",
            field=field,
            hint="write a share as '1%' or 0.01" if vital.unit == "share" else None,
        )


def series_labels(own: Iterable[Metric] = ()) -> dict[str, frozenset[str]]:
    """Return the labels of every series that the app and its exporter can serve."""
    known: dict[str, frozenset[str]] = {}
    for metric in (*METRICS, *COLLECTED, *own):
        labels = frozenset(metric.labels)
        if metric.kind == "histogram":
            known[f"{metric.name}_bucket"] = labels | {"le"}
            known[f"{metric.name}_count"] = labels
            known[f"{metric.name}_sum"] = labels
        else:
            known[metric.name] = labels
    return known


def _unchangeable(vital: Vital, key: str, field: str) -> ConfigError:
    changeable = [key for key in ("limit", "window") if _uses(vital, f"${key}")]
    return ConfigError(
        f"the vital {vital.name} has no parameter {key}",
        field=field,
        hint=f"it has: {', '.join([*changeable, 'for', 'severity'])}",
    )


def _uses(vital: Vital, parameter: str) -> bool:
    exprs = [record.expr for record in vital.records]
    exprs += [alert.expr for alert in vital.alerts]
    return any(parameter in expr for expr in exprs)


def _severity(text: str, field: str) -> Severity:
    known: tuple[Severity, ...] = get_args(Severity)
    for severity in known:
        if severity == text:
            return severity
    raise ConfigError(
        f"{text!r} isn't a severity", field=field, hint=f"use one of {', '.join(known)}"
    )


def _duration(text: str, field: str) -> None:
    try:
        parse_duration(text)
    except ConfigError as error:
        raise ConfigError(error.what, field=field, hint=error.hint) from None
