"""What the servers have loaded, compared with what was built."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import promql_parser

from watchroom.errors import ConfigError, QueryError
from watchroom.formats import matchers, yamlfile
from watchroom.promql import bounds
from watchroom.units import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.formats.alertmanager import Alertmanager
    from watchroom.formats.manifest import Accelerated, Manifest, ManifestAlert
    from watchroom.formats.matchers import Matcher

_TIMES = ("mute_time_intervals", "active_time_intervals")
_WAITS = ("group_wait", "group_interval", "repeat_interval")


class LoadedRule(NamedTuple):
    """The parts of a built alerting rule that a server reports.

    Attributes:
        name: The alert's.
        expr: Its expression.
        hold: Its `for`.
        labels: Those that decide who is notified; it may have others.
    """

    name: str
    expr: str
    hold: str
    labels: dict[str, str]


def rule_of(built: ManifestAlert | Accelerated) -> LoadedRule:
    """Return a built rule, or the accelerated copy of one."""
    # A manifest does not repeat the labels of a copy: they are the rule's.
    labels = {
        name: getattr(built, name)
        for name in ("severity", "priority")
        if hasattr(built, name)
    }
    name = getattr(built, "name", "") or getattr(built, "alert", "")
    return LoadedRule(name, built.expr, built.for_ or "0s", labels)


def rules_of(manifest: Manifest) -> list[LoadedRule]:
    """Return every alerting rule of a build."""
    alerts = [rule_of(each) for vital in manifest.vitals for each in vital.alerts]
    drills = manifest.drills
    copies = [rule_of(each.accelerated) for each in drills if each.accelerated]
    return [*alerts, *copies]


def difference(loaded: Sequence[Mapping[str, Any]], built: LoadedRule) -> str:
    """Return how the loaded rules of a name differ from the built one, or nothing.

    If several have that name, the most similar one counts.

    Args:
        loaded: As ``/api/v1/rules`` has them, at least one.
        built: The rule.
    """
    fewest = min((_differences(rule, built) for rule in loaded), key=len)
    return ", ".join(fewest)


def _differences(rule: Mapping[str, Any], built: LoadedRule) -> list[str]:
    differences = []
    if canonical(rule["query"]) != canonical(built.expr):
        differences.append("a different expression")
    hold = float(rule.get("duration", 0.0))
    if abs(hold - parse_duration(built.hold)) > 0.001:
        differences.append(f"for {format_duration(hold)} instead of {built.hold}")
    labels = rule.get("labels", {})
    differences += [
        f"{name} {labels.get(name) or 'missing'} instead of {value}"
        for name, value in built.labels.items()
        if labels.get(name, "") != value
    ]
    return differences


def canonical(expr: str) -> str:
    """Return an expression in the parser's own spelling, to compare two."""
    # An expression that doesn't parse is compared as text.
    with contextlib.suppress(ValueError, QueryError):
        bounds.check(expr)
        expr = promql_parser.parse(expr).prettify()
    return " ".join(expr.split())


def routing(text: str, built: Alertmanager) -> str:
    """Return how a loaded alertmanager.yml differs from the built one, or nothing.

    Alertmanager reports what it loaded with defaults filled in and URLs as
    ``<secret>``, so only routes, inhibitions and the kinds of receivers are compared.
    """
    try:
        loaded, _ = yamlfile.parse(text, "its configuration")
        theirs = _receivers(loaded)
        ours = _receivers(wanted := msgspec.to_builtins(built))
        changed = {n for n in ours.keys() & theirs.keys() if ours[n] != theirs[n]}
        differences = [
            f"receivers {what}: {', '.join(sorted(names))}"
            for what, names in (
                ("missing", ours.keys() - theirs.keys()),
                ("not built", theirs.keys() - ours.keys()),
                ("of different kinds", changed),
            )
            if names
        ]
        if _route(loaded["route"]) != _route(wanted["route"]):
            differences.append("different routes")
        if _inhibitions(loaded) != _inhibitions(wanted):
            differences.append("different inhibitions")
    except (ConfigError, LookupError, TypeError, AttributeError):
        return "a configuration that can't be read"
    return ", ".join(differences)


def _receivers(config: Any) -> dict[str, dict[str, int]]:
    return {
        receiver["name"]: {
            kind: len(configs)
            for kind, configs in receiver.items()
            if kind.endswith("_configs") and configs
        }
        for receiver in config["receivers"]
    }


def _route(route: Any) -> tuple[Any, ...]:
    waits = (route.get(name) for name in _WAITS)
    return (
        route.get("receiver") or "",
        _matchers(route.get("matchers")),
        bool(route.get("continue")),
        sorted(route.get("group_by") or []),
        # A missing value is inherited, and reported as missing.
        *(None if wait is None else parse_duration(str(wait)) for wait in waits),
        # Older keys than `matchers`, which a build does not write.
        *(route.get(name) or {} for name in ("match", "match_re")),
        *(route.get(name) or [] for name in _TIMES),
        *map(_route, route.get("routes") or []),
    )


def _inhibitions(config: Any) -> list[Any]:
    return sorted(
        (
            _matchers(rule.get("source_matchers")),
            _matchers(rule.get("target_matchers")),
            sorted(rule.get("equal") or []),
        )
        for rule in config.get("inhibit_rules") or []
    )


def _matchers(texts: Any) -> list[Matcher]:
    return sorted(
        matcher for text in texts or [] for matcher in matchers.parse(str(text))
    )
