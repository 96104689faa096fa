"""From query text to nodes: promql-parser for the grammar, our own nodes after it."""

from __future__ import annotations

import datetime as dt
import functools
import re
from typing import TYPE_CHECKING, Any, cast

import promql_parser

from watchroom.errors import QuerySyntaxError, UnsupportedError
from watchroom.promql.model import Matcher, MatchOp, compile_regexp
from watchroom.promql.scan import Scanned, scan
from watchroom.promql.syntax import (
    Aggregate,
    At,
    Binary,
    Call,
    Cardinality,
    Matching,
    Negate,
    Node,
    Number,
    Range,
    Selector,
    Subquery,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_OPS: dict[Any, MatchOp] = {
    "Equal": "=",
    "NotEqual": "!=",
    "Re": "=~",
    "NotRe": "!~",
}
_CARDINALITY: dict[str, Cardinality] = {
    "OneToOne": "one-to-one",
    "ManyToOne": "many-to-one",
    "OneToMany": "one-to-many",
    "ManyToMany": "set",
}
# What Prometheus answers only about native histograms, or only with experimental
# storage; over floats these would silently give nothing.
_UNSUPPORTED = {
    "histogram_avg": "native histograms",
    "histogram_count": "native histograms",
    "histogram_sum": "native histograms",
    "histogram_stddev": "native histograms",
    "histogram_stdvar": "native histograms",
    "info": "info metrics joined by the engine",
    "start_timestamp": "start timestamps",
}
_UNSUPPORTED_TEXT = (
    (re.compile(r"\b(anchored|smoothed)\b"), "the {} modifier"),
    (re.compile(r"\b(trim_lower|trim_upper)\b|</|>/"), "trimming native histograms"),
    (re.compile(r"\[[^\]\"']*[-+*/%^(][^\]\"']*\]"), "arithmetic in durations"),
    (re.compile(r"\boffset\s*-?\s*\("), "arithmetic in durations"),
)
_STRINGS = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`|#[^\n]*")


def _kind(value: object) -> str:
    """Return the variant's name of one of promql-parser's enums."""
    return str(value).rpartition(".")[2]


def _milliseconds(delta: dt.timedelta | None) -> int:
    if delta is None:
        return 0
    return round(delta / dt.timedelta(milliseconds=1))


class _Reader:
    """Turns promql-parser's nodes into ours."""

    def __init__(self, scanned: Scanned) -> None:
        self.scanned = scanned
        self.readers: dict[str, Callable[[Any], Node]] = {
            "NumberLiteral": lambda node: Number(float(node.val)),
            "StringLiteral": self.text,
            "ParenExpr": lambda node: self.read(node.expr),
            "UnaryExpr": lambda node: Negate(self.read(node.expr)),
            "VectorSelector": self.selector,
            "MatrixSelector": lambda node: Range(
                self.selector(node.vector_selector), _milliseconds(node.range)
            ),
            "SubqueryExpr": self.subquery,
            "Call": self.call,
            "AggregateExpr": self.aggregate,
            "BinaryExpr": self.binary,
        }

    def read(self, node: Any) -> Node:
        return self.readers[type(node).__name__](node)

    def text(self, node: Any) -> Text:
        value = self.scanned.restore(node.val)
        return Text(value, str(node))

    def at(self, modifier: Any) -> At:
        if modifier is None:
            return None
        kind = _kind(modifier.type)
        if kind == "At":
            moment = cast("dt.datetime", modifier.at)
            return self.scanned.times[round(moment.timestamp())]
        return "start" if kind == "Start" else "end"

    def selector(self, node: Any) -> Selector:
        if node.matchers.or_matchers:
            raise QuerySyntaxError("`or` between the matchers of a selector")
        matchers = [
            Matcher(each.name, _OPS[_kind(each.op)], self.scanned.restore(each.value))
            for each in node.matchers.matchers
        ]
        if node.name is not None:
            matchers.append(Matcher("__name__", "=", node.name))
        for matcher in matchers:
            if matcher.op in {"=~", "!~"}:
                compile_regexp(matcher.value)
        return Selector(tuple(matchers), _milliseconds(node.offset), self.at(node.at))

    def subquery(self, node: Any) -> Subquery:
        return Subquery(
            self.read(node.expr),
            _milliseconds(node.range),
            _milliseconds(node.step),
            _milliseconds(node.offset),
            self.at(node.at),
        )

    def call(self, node: Any) -> Call:
        name = node.func.name
        if name in _UNSUPPORTED:
            raise UnsupportedError(f"{name}() is not supported: {_UNSUPPORTED[name]}")
        return Call(name, tuple(self.read(argument) for argument in node.args))

    def aggregate(self, node: Any) -> Aggregate:
        modifier = node.modifier
        return Aggregate(
            str(node.op).lower(),
            self.read(node.expr),
            None if node.param is None else self.read(node.param),
            () if modifier is None else tuple(modifier.labels),
            modifier is not None and _kind(modifier.type) == "Without",
        )

    def binary(self, node: Any) -> Binary:
        modifier = node.modifier
        matching = Matching()
        if modifier is not None:
            labels = modifier.matching
            fill = modifier.fill_values
            matching = Matching(
                _CARDINALITY[_kind(modifier.card)],
                labels is not None and _kind(labels.type) == "Include",
                () if labels is None else tuple(labels.labels),
                tuple(modifier.group_labels or ()),
                None if fill is None else fill.lhs,
                None if fill is None else fill.rhs,
            )
        as_bool = modifier is not None and modifier.return_bool
        op = str(node.op).strip().lower()
        return Binary(op, self.read(node.lhs), self.read(node.rhs), as_bool, matching)


def _refusal(query: str, error: ValueError) -> QuerySyntaxError | UnsupportedError:
    """Return the error for what the parser did not read."""
    bare = _STRINGS.sub('""', query)
    for pattern, what in _UNSUPPORTED_TEXT:
        found = pattern.search(bare)
        if found is not None:
            name = what.format(found.group(1)) if "{}" in what else what
            return UnsupportedError(f"{name} is experimental and not supported")
    return QuerySyntaxError(f"{error} in {query!r}")


@functools.lru_cache(maxsize=512)
def parse(query: str) -> Node:
    """Return the nodes of `query`, checked as far as its types go.

    Raises:
        QuerySyntaxError: It does not parse, names an unknown function, or its types
            do not fit.
        UnsupportedError: It is PromQL that this engine refuses by name.
    """
    scanned = scan(query)
    try:
        tree = promql_parser.parse(scanned.text)
    except ValueError as error:
        raise _refusal(query, error) from error
    return _Reader(scanned).read(tree)
