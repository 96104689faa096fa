"""Prometheus rule files."""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec

from watchroom.errors import (
    ConfigError,
    NotSupportedError,
    QueryError,
    UnsupportedError,
)
from watchroom.formats import known_keys, yamlfile
from watchroom.promql.parse import parse
from watchroom.units import parse_duration

_BRACES = re.compile(r"[{}]")


class Rule(msgspec.Struct, **yamlfile.STRICT):
    """One recording or alerting rule.

    Attributes:
        record: The name it records; empty for an alert.
        alert: The alert's name; empty for a record.
        expr: PromQL.
        for_: How long it must hold before it fires, a duration.
        keep_firing_for: How long it keeps firing after the expression stops matching.
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


class RuleGroup(msgspec.Struct, **yamlfile.STRICT):
    """Rules that are evaluated in order, together.

    Attributes:
        interval: How often, a duration; None is the global evaluation_interval.
        limit: The most series or alerts that one rule may make; 0 means no limit.
    """

    NOT_HERE: ClassVar[known_keys.Keys] = known_keys.RULE_GROUP
    name: str
    rules: list[Rule] = []
    interval: str | None = None
    limit: int = 0


class RuleFile(msgspec.Struct, **yamlfile.STRICT):
    """A rule file."""

    groups: list[RuleGroup] = []


def load(text: str, file: str) -> RuleFile:
    """Return the rules in `text`.

    Raises:
        ConfigError: Unknown keys, bad PromQL or durations, a rule that is neither
            record nor alert, or groups of one name; with file, line and field.
    """
    rules, node = yamlfile.read(text, file, RuleFile)
    names: set[str] = set()
    with yamlfile.placed(node, file):
        for i, group in enumerate(rules.groups):
            with yamlfile.within(f"groups[{i}]"):
                if not group.name:
                    raise ConfigError("a group needs a name", field="name")
                if group.name in names:
                    raise ConfigError(f"two groups are named {group.name!r}")
                names.add(group.name)
                if group.interval is not None:
                    _duration(group.interval, "interval")
                for j, rule in enumerate(group.rules):
                    with yamlfile.within(f"rules[{j}]"):
                        _check(rule)
    return rules


def dump(rules: RuleFile) -> str:
    """Return the YAML of `rules`."""
    data = msgspec.to_builtins(rules)
    for group in data.get("groups", []):
        for rule in group.get("rules", []):
            rule.pop("__line__", None)
    return yamlfile.dump(data)


def _check(rule: Rule) -> None:
    if bool(rule.alert) == bool(rule.record):
        raise ConfigError("a rule needs exactly one of 'alert' and 'record'")
    if not rule.expr.strip():
        raise ConfigError(
            f"{rule.alert or rule.record} has no expression", field="expr"
        )
    try:
        parse(rule.expr)
    except UnsupportedError as error:
        raise NotSupportedError(str(error), field="expr") from None
    except QueryError as error:
        raise ConfigError(f"can't be parsed: {error}", field="expr") from None
    _duration(rule.for_, "for")
    _duration(rule.keep_firing_for, "keep_firing_for")
    if rule.record:
        _check_record(rule)
    for field in ("labels", "annotations"):
        for name in getattr(rule, field):
            if not name or (field == "labels" and name == "__name__"):
                raise ConfigError(
                    f"{name!r} isn't a valid name in {field}", field=field
                )


def _check_record(rule: Rule) -> None:
    for field, present in (
        ("annotations", bool(rule.annotations)),
        ("for", parse_duration(rule.for_) > 0),
        ("keep_firing_for", parse_duration(rule.keep_firing_for) > 0),
    ):
        if present:
            raise ConfigError(
                "a recording rule takes no 'for', 'keep_firing_for' or annotations",
                field=field,
            )
    if _BRACES.search(rule.record):
        raise ConfigError(
            f"{rule.record!r} isn't a metric name",
            field="record",
            hint="put labels under labels: and selectors into expr:",
        )


def _duration(text: str, field: str) -> None:
    with yamlfile.within(field):
        parse_duration(text)
