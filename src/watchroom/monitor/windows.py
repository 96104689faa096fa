"""How far back an expression looks: what has to be full before its silence counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import promql_parser as grammar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import timedelta


def _selectors(node: grammar.Expr, back: float) -> Iterator[tuple[str, float]]:
    """Yield ``(metric name, seconds back)`` of every selector below `node`."""
    match node:
        case grammar.VectorSelector():
            yield node.name or "", back + _offset(node)
        case grammar.MatrixSelector():
            inner = node.vector_selector
            yield (
                inner.name or "",
                back + _offset(inner) + _seconds(node.range),
            )
        case grammar.SubqueryExpr():
            yield from _selectors(
                node.expr, back + _offset(node) + _seconds(node.range)
            )
        case grammar.Call():
            for argument in node.args:
                yield from _selectors(argument, back)
        case grammar.BinaryExpr():
            yield from _selectors(node.lhs, back)
            yield from _selectors(node.rhs, back)
        case grammar.AggregateExpr() | grammar.ParenExpr() | grammar.UnaryExpr():
            yield from _selectors(node.expr, back)
        case _:
            return


def _offset(node: grammar.VectorSelector | grammar.SubqueryExpr) -> float:
    return max(_seconds(node.offset), 0.0)


def _seconds(length: timedelta | None) -> float:
    return 0.0 if length is None else length.total_seconds()


def selectors(expr: str) -> list[tuple[str, float]]:
    """Return the metrics that `expr` reads, each with the seconds it looks back."""
    return list(_selectors(grammar.parse(expr), 0.0))


def lookback_seconds(expr: str, records: Mapping[str, str]) -> float:
    """Return how far back `expr` looks, also through `records` (name → expr)."""

    def depth(text: str, seen: frozenset[str]) -> float:
        deepest = 0.0
        for name, back in selectors(text):
            below = 0.0
            if name in records and name not in seen:
                below = depth(records[name], seen | {name})
            deepest = max(deepest, back + below)
        return deepest

    return depth(expr, frozenset())
