"""Prometheus rule files."""

from __future__ import annotations

from typing import Any

import msgspec

from watchroom.errors import ConfigError, QueryError
from watchroom.formats import yamlfile
from watchroom.promql.parse import parse
from watchroom.units import parse_duration


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One recording or alerting rule.

    Attributes:
        record: The name it records; empty for an alert.
        alert: The alert's name; empty for a record.
        expr: PromQL.
        for_: How long it must hold before it fires, a duration.
        keep_firing_for: How long it goes on firing after it held, a duration.
        labels: Added to the series or alert; templates in alerts.
        annotations: Templates.
        line: Where the rule begins in its file; 0 when it comes from no file.
    """

    record: str = ""
    alert: str = ""
    expr: str = ""
    for_: str = msgspec.field(default="0s", name="for")
    keep_firing_for: str = "0s"
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    line: int = msgspec.field(default=0, name="__line__")


class RuleGroup(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Rules that are evaluated in order, together.

    Attributes:
        interval: How often, a duration; None is the global evaluation_interval.
        limit: The most series or alerts that one rule may make; 0 is no limit.
    """

    name: str
    rules: list[Rule] = []
    interval: str | None = None
    limit: int = 0


class RuleFile(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A rule file."""

    groups: list[RuleGroup] = []


def load(text: str, file: str) -> RuleFile:
    """Return the rules in `text`.

    Raises:
        ConfigError: Unknown keys, bad PromQL or durations, a rule that is neither
            record nor alert, or groups of one name; with file, line and field.
    """
    data, node = yamlfile.parse(text, file)
    for i, group in enumerate(_list(data, "groups")):
        for j, rule in enumerate(_list(group, "rules")):
            if isinstance(rule, dict):
                where: list[str | int] = ["groups", i, "rules", j]
                rule["__line__"] = yamlfile.line_of(node, where) or 0
    rules = yamlfile.convert(data, node, file, RuleFile)
    names: set[str] = set()
    for i, group in enumerate(rules.groups):
        if group.name in names:
            line = yamlfile.line_of(node, ["groups", i])
            raise ConfigError(
                f"two groups are named {group.name!r}", file=file, line=line
            )
        names.add(group.name)
        if group.interval is not None:
            _duration(group.interval, file, yamlfile.line_of(node, ["groups", i]))
        for rule in group.rules:
            _check(rule, file)
    return rules


def dump(rules: RuleFile) -> str:
    """Return the YAML of `rules`."""
    data = msgspec.to_builtins(rules)
    for group in data.get("groups", []):
        for rule in group.get("rules", []):
            rule.pop("__line__", None)
    return yamlfile.dump(data)


def _list(data: Any, key: str) -> list[Any]:
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, list) else []


def _check(rule: Rule, file: str) -> None:
    name = rule.alert or rule.record
    if bool(rule.alert) == bool(rule.record):
        raise ConfigError(
            "a rule has either 'alert' or 'record'", file=file, line=rule.line
        )
    if not rule.expr.strip():
        raise ConfigError(f"{name} has no expr", file=file, line=rule.line)
    if rule.record and (rule.annotations or rule.for_ != "0s"):
        raise ConfigError(
            f"{name} is a record: it has no 'for' and no annotations",
            file=file,
            line=rule.line,
        )
    for text in (rule.for_, rule.keep_firing_for):
        _duration(text, file, rule.line)
    try:
        parse(rule.expr)
    except QueryError as error:
        raise ConfigError(
            f"expr does not parse: {error}", file=file, line=rule.line, field=name
        ) from None


def _duration(text: str, file: str, line: int | None) -> None:
    try:
        parse_duration(text)
    except ConfigError as error:
        raise ConfigError(error.what, file=file, line=line, hint=error.hint) from None
