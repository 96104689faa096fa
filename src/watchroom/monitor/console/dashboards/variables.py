"""A dashboard's variables: what may be chosen, and queries with it filled in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import QueryError, WatchroomError
from watchroom.promql.model import Matcher
from watchroom.promql.parse import parse
from watchroom.promql.syntax import Selector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from multidict import MultiMapping

    from watchroom.formats.grafana import Dashboard, Variable
    from watchroom.monitor.console.dashboards.ranges import TimeRange
    from watchroom.promql.model import Queryable

ALL = "$__all"
_MOST_OPTIONS = 200
_LABEL_VALUES = re.compile(r"label_values\((?:(.*),)?\s*([A-Za-z_]\w*)\s*\)", re.DOTALL)
_NAME = re.compile(r"\$(\w+)|\$\{(\w+)(?::(\w+))?\}|\[\[(\w+)(?::(\w+))?\]\]")
_SPECIAL = re.compile(r"[\\^$.*+?()\[\]{}|]")


class VariableError(WatchroomError):
    """A query names an unknown variable, or one whose values can't be read."""


class Choice(NamedTuple):
    """A variable as the page shows it: what is chosen, and what could be.

    Attributes:
        free: Whether anything may be typed.
    """

    name: str
    label: str
    chosen: tuple[str, ...]
    options: tuple[str, ...]
    include_all: bool
    free: bool


def chosen(
    dashboard: Dashboard, query: MultiMapping[str]
) -> dict[str, tuple[str, ...]]:
    """Return the values of every variable: the URL's ``var-name``, else the file's."""
    selected = {}
    for variable in dashboard.templating.entries:
        if variable.type == "datasource":
            continue
        given = query.getall(f"var-{variable.name}", [])
        values = tuple(value for value in given if value) or _first(variable)
        if "All" in values and variable.includeAll:
            values = (ALL,)
        selected[variable.name] = values[:_MOST_OPTIONS]
    return selected


def _first(variable: Variable) -> tuple[str, ...]:
    if variable.type in {"constant", "textbox"}:
        return (str(variable.query or ""),)
    value = variable.current.get("value", "")
    values = value if isinstance(value, list) else [value]
    known = tuple(str(value) for value in values if value not in {"", None})
    if known:
        return known
    listed = _listed(variable)
    return (ALL,) if variable.includeAll or not listed else listed[:1]


def _listed(variable: Variable) -> tuple[str, ...]:
    """Return the values listed in the file itself."""
    if variable.type in {"custom", "interval"} and isinstance(variable.query, str):
        parts = re.split(r"(?<!\\),", variable.query)
        return tuple(part.strip().replace("\\,", ",") for part in parts if part.strip())
    return ()


def choices(
    dashboard: Dashboard,
    values: Mapping[str, Sequence[str]],
    queryable: Queryable,
    span: TimeRange,
) -> list[Choice]:
    """Return what can be chosen, in the file's order; hidden variables are left out.

    Raises:
        VariableError: The monitor does not support a query.
    """
    shown = []
    for variable in dashboard.templating.entries:
        if variable.type in {"datasource", "constant"} or variable.hide == 2:
            continue
        options = _listed(variable)
        if variable.type == "query":
            options = _queried(variable, dashboard, values, queryable, span)
        shown.append(
            Choice(
                variable.name,
                variable.label or variable.name,
                tuple(values.get(variable.name, ())),
                options[:_MOST_OPTIONS],
                variable.includeAll,
                variable.type == "textbox",
            )
        )
    return shown


def _queried(
    variable: Variable,
    dashboard: Dashboard,
    values: Mapping[str, Sequence[str]],
    queryable: Queryable,
    span: TimeRange,
) -> tuple[str, ...]:
    query = variable.query
    text = query.get("query", "") if isinstance(query, dict) else str(query)
    asked = _LABEL_VALUES.fullmatch(text.strip())
    if asked is None:
        raise VariableError(
            f"the variable {variable.name!r} uses {text[:80]!r}; the monitor supports "
            "only label_values(metric, label)"
        )
    label = asked[2]
    matchers = [Matcher(label, "!=", "")]
    if asked[1]:
        selector = filled(asked[1], dashboard, values, span)
        try:
            node = parse(selector)
        except QueryError as error:
            raise VariableError(f"the variable {variable.name!r}: {error}") from error
        if not isinstance(node, Selector):
            raise VariableError(f"the variable {variable.name!r} has no selector")
        matchers += node.matchers
    # The last hour of the range is enough to know the names, and cheap.
    start = max(span.start_ms, span.end_ms - 3_600_000)
    names: set[str] = set()
    for group in queryable.select(matchers, start, span.end_ms + span.step_ms):
        for labels in group.labels:
            names.add(dict(labels).get(label, ""))
    return tuple(sorted(names - {""}))


def filled(
    expr: str,
    dashboard: Dashboard,
    values: Mapping[str, Sequence[str]],
    span: TimeRange,
) -> str:
    """Return a query with its variables filled in, as Grafana does for Prometheus.

    Raises:
        VariableError: It names an unknown variable.
    """
    known = {variable.name: variable for variable in dashboard.templating.entries}
    built_in = _built_in(span)

    def replacement(match: re.Match[str]) -> str:
        name = match[1] or match[2] or match[4]
        form = match[3] or match[5] or ""
        if name in built_in:
            return built_in[name]
        if name not in known or name not in values:
            raise VariableError(f"the query names ${name}, which isn't a variable here")
        return _inserted(known[name], values[name], form)

    return _NAME.sub(replacement, expr)


def _built_in(span: TimeRange) -> dict[str, str]:
    whole = span.end_ms - span.start_ms
    return {
        "__interval": f"{span.step_ms}ms",
        "__interval_ms": str(span.step_ms),
        "__rate_interval": f"{span.rate_ms}ms",
        "__rate_interval_ms": str(span.rate_ms),
        "__range": f"{whole}ms",
        "__range_ms": str(whole),
        "__range_s": str(whole // 1000),
        "__from": str(span.start_ms),
        "__to": str(span.end_ms),
    }


def _inserted(variable: Variable, values: Sequence[str], form: str) -> str:
    many = variable.multi or variable.includeAll
    if ALL in values:
        if variable.allValue:
            return variable.allValue
        listed = _listed(variable)
        return "|".join(map(_pattern, listed)) if listed else ".*"
    if form in {"pipe", "raw", "csv"}:
        return (",".join if form == "csv" else "|".join)(values)
    if many or form == "regex":
        patterns = [_pattern(value) for value in values]
        return patterns[0] if len(patterns) == 1 else f"({'|'.join(patterns)})"
    return _quoted(values[0] if values else "")


def _pattern(value: str) -> str:
    """Return a value as a part of a pattern inside a quoted string."""
    return _quoted(_SPECIAL.sub(r"\\\g<0>", value))


def _quoted(value: str) -> str:
    """Return a value that cannot end the quoted string around it."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
