"""From query text to nodes: promql-parser for the grammar, our own nodes after it."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any, cast

import promql_parser

from watchroom.errors import QuerySyntaxError, UnsupportedError
from watchroom.promql import bounds
from watchroom.promql.model import Matcher, MatchOp, compile_regexp
from watchroom.promql.refuse import refusal
from watchroom.promql.scan import ScannedQuery, scan
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
    RangeSelector,
    Selector,
    Subquery,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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
# What Prometheus answers only about native histograms; over floats these would silently
# give nothing.
_UNSUPPORTED = frozenset(
    f"histogram_{name}" for name in ("avg", "count", "sum", "stddev", "stdvar")
)
# What Prometheus refuses unless a feature flag is set; so do we, or a rule file that
# loads here would not load there.
EXPERIMENTAL = frozenset(
    {
        *("double_exponential_smoothing", "end", "histogram_quantiles", "info"),
        *("integral", "mad_over_time", "max_of", "min_of", "range", "sort_by_label"),
        *("sort_by_label_desc", "start", "start_timestamp", "step"),
        *("ts_of_first_over_time", "ts_of_last_over_time"),
        *("ts_of_max_over_time", "ts_of_min_over_time"),
        *("limitk", "limit_ratio"),
    }
)
_REMEMBERED = 4_096
"""Characters up to which an expression is kept parsed: what rules and panels ask."""
_LONGEST_MS = (2**63 - 1) // 10**6
"""What Go's durations, nanoseconds in an int64, can hold."""


def _kind(value: object) -> str:
    """Return the variant's name of one of promql-parser's enums."""
    return str(value).rpartition(".")[2]


def _milliseconds(delta: dt.timedelta | None) -> int:
    if delta is None:
        return 0
    length = round(delta / dt.timedelta(milliseconds=1))
    if abs(length) > _LONGEST_MS:
        raise QuerySyntaxError("duration out of range")
    return length


def _positive(delta: dt.timedelta | None) -> int:
    length = _milliseconds(delta)
    if length <= 0:
        raise QuerySyntaxError("duration must be greater than 0")
    return length


def _refuse_experimental(name: str) -> None:
    if name in EXPERIMENTAL:
        raise QuerySyntaxError(
            f"{name}() is not enabled: it is experimental, and Prometheus refuses it "
            "unless a feature flag is set"
        )


class _Reader:
    """Turns promql-parser's nodes into ours."""

    def __init__(self, scanned: ScannedQuery) -> None:
        self.scanned = scanned
        self.readers: dict[str, Callable[[Any], Node]] = {
            "NumberLiteral": lambda node: Number(float(node.val)),
            "StringLiteral": self.text,
            "ParenExpr": lambda node: self.read(node.expr),
            "UnaryExpr": lambda node: Negate(self.read(node.expr)),
            "VectorSelector": self.selector,
            "MatrixSelector": lambda node: RangeSelector(
                self.selector(node.vector_selector), _positive(node.range)
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
            Matcher(
                self.scanned.restore(each.name),
                _OPS[_kind(each.op)],
                self.scanned.restore(each.value),
            )
            for each in node.matchers.matchers
        ]
        if node.name is not None:
            matchers.append(Matcher("__name__", "=", self.scanned.restore(node.name)))
        for matcher in matchers:
            if matcher.op in {"=~", "!~"}:
                compile_regexp(matcher.value)
        return Selector(tuple(matchers), _milliseconds(node.offset), self.at(node.at))

    def subquery(self, node: Any) -> Subquery:
        return Subquery(
            self.read(node.expr),
            _positive(node.range),
            0 if node.step is None else _positive(node.step),
            _milliseconds(node.offset),
            self.at(node.at),
        )

    def call(self, node: Any) -> Call:
        name = node.func.name
        _refuse_experimental(name)
        if name in _UNSUPPORTED:
            raise UnsupportedError(f"{name}() is not supported: native histograms")
        return Call(name, tuple(self.read(argument) for argument in node.args))

    def aggregate(self, node: Any) -> Aggregate:
        modifier, op = node.modifier, str(node.op).lower()
        _refuse_experimental(op)
        return Aggregate(
            op,
            self.read(node.expr),
            None if node.param is None else self.read(node.param),
            () if modifier is None else self.names(modifier.labels),
            modifier is not None and _kind(modifier.type) == "Without",
        )

    def binary(self, node: Any) -> Node:
        """Read a chain of operators without a call per operator: `a + b + c + …`."""
        chain = [node]
        while type(chain[-1].lhs).__name__ == "BinaryExpr":
            chain.append(chain[-1].lhs)
        left = self.read(chain[-1].lhs)
        for each in reversed(chain):
            op = str(each.op).strip().lower()
            matching, as_bool = self.matching(each.modifier)
            left = Binary(op, left, self.read(each.rhs), as_bool, matching)
        return left

    def names(self, labels: Iterable[str] | None) -> tuple[str, ...]:
        return tuple(self.scanned.restore(label) for label in labels or ())

    def matching(self, modifier: Any) -> tuple[Matching, bool]:
        """Return how two sides match, and whether a comparison gives 0 and 1."""
        if modifier is None:
            return Matching(), False
        if modifier.fill_values is not None:
            fills = (modifier.fill_values.lhs, modifier.fill_values.rhs)
            if any(fill is not None for fill in fills):
                raise QuerySyntaxError(
                    "binop fill modifiers are not enabled: they are experimental, and "
                    "Prometheus refuses them unless a feature flag is set"
                )
        labels = modifier.matching
        matching = Matching(
            _CARDINALITY[_kind(modifier.card)],
            labels is not None and _kind(labels.type) == "Include",
            () if labels is None else self.names(labels.labels),
            self.names(modifier.group_labels),
        )
        return matching, modifier.return_bool


@functools.lru_cache(maxsize=512)
def _known(query: str) -> Node:
    return _parsed(query)


def parse(query: str) -> Node:
    """Return the nodes of `query`, checked as far as its types go.

    Raises:
        QuerySyntaxError: It does not parse, names an unknown function, its types do not
            fit, or it is larger or deeper than `bounds` allow.
        UnsupportedError: It is PromQL that this engine refuses by name.
    """
    bounds.check(query)
    return _known(query) if len(query) <= _REMEMBERED else _parsed(query)


def _reads(query: str) -> bool:
    try:
        promql_parser.parse(scan(query).text)
    except (ValueError, QuerySyntaxError):
        return False
    return True


def _parsed(query: str) -> Node:
    scanned = scan(query)
    try:
        return _Reader(scanned).read(promql_parser.parse(scanned.text))
    except ValueError as error:
        raise refusal(query, str(error), _reads) from error
    except RecursionError as error:
        raise QuerySyntaxError("the expression is nested too deeply") from error
