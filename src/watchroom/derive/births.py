"""Counters that begin with their event: the first sample counts whole.

``increase`` and ``rate`` need two samples of a series, so they never see the events
that a series begins with: the first 502, the first failure of a task that nobody ran
before. A series that was not there a window ago, while its target was read, has counted
nothing before: its value is what happened. That value stands *in place of* the
increase, in numerators, denominators and buckets alike, and is never added to it.

What an exporter serves again after it was away isn't new: `up` was not 1 a window ago.
Neither is what a new target brings along from elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from watchroom.catalogue.parameters import number
from watchroom.errors import ConfigError, QueryError
from watchroom.promql.parse import parse
from watchroom.promql.syntax import Call, Node, RangeSelector, Selector, walk
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

# How the field ends the names of what only grows.
_COUNTER = re.compile(r"\w+(_total|_bucket|_count|_sum)")
_COUNTED = frozenset({"rate", "increase"})
_CALL = re.compile(
    r"""
    (?P<quoted>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|\#[^\n]*)
  | \b(?P<function>rate|increase)\s*\(\s*
    (?P<series>
      (?P<name>[a-zA-Z_]\w*)\s*
      (?:\{(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`|[^{}"'`])*\})?
    )\s*
    \[\s*(?P<window>\w+)\s*\]\s*\)
    """,
    re.VERBOSE,
)


def whole(expr: str, where: str) -> str:
    """Return `expr` with the first sample of a counter counted whole.

    Raises:
        ConfigError: `expr` does not parse.
    """
    rewritten = _CALL.sub(_written, expr)
    try:
        expected = Counter(_expected(call) for call in _calls(parse(expr)))
        actual = Counter(walk(parse(rewritten)))
    except QueryError as error:
        raise ConfigError(f"{where}: {error}") from None
    # Where the pattern above and the parser disagree, as over a metric named inside its
    # braces, all stays as it was: a share must not count its two sides differently.
    return rewritten if expected <= actual else expr


def _written(match: re.Match[str]) -> str:
    if match["quoted"] or not _COUNTER.fullmatch(match["name"]):
        return match[0]
    text = _text(match["function"], match["series"].strip(), match["window"])
    # As the whole argument of something it has its parentheses already.
    before = match.string[: match.start()].rstrip()
    after = match.string[match.end() :].lstrip()
    alone = before.endswith("(") and after.startswith(")")
    return text if alone else f"({text})"


def _text(function: str, series: str, window: str) -> str:
    born = (
        f"{series} unless {series} offset {window}"
        f" and on (job, instance) up offset {window} == 1"
    )
    if function == "rate":
        born = f"({born}) / {number(parse_duration(window))}"
    return f"{born} or {function}({series}[{window}])"


def _calls(tree: Node) -> Iterator[Call]:
    """Yield what counts the events of a counter over a window that ends now."""
    for node in walk(tree):
        if not (isinstance(node, Call) and node.name in _COUNTED):
            continue
        (counted,) = node.args
        if not isinstance(counted, RangeSelector) or counted.selector[1:] != (0, None):
            continue
        if _COUNTER.fullmatch(counted.selector.metric):
            yield node


def _expected(call: Call) -> Node:
    """Return the node that a call is to become."""
    counted = cast("RangeSelector", call.args[0])
    node = parse(_text(call.name, "x_total", f"{counted.range_ms}ms"))

    def moved(part: Any) -> Any:
        if not isinstance(part, tuple):
            return part
        if isinstance(part, Selector) and part.metric == "x_total":
            return part._replace(matchers=counted.selector.matchers)
        parts = [moved(each) for each in part]
        return type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)

    return cast("Node", moved(node))
