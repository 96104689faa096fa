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


def lookbacks(expr: str, records: Mapping[str, str]) -> frozenset[float]:
    """Return how far back (s) each part of `expr` looks; 0 is a value of this moment.

    Args:
        expr: PromQL.
        records: The name of each recorded series, and its expression.
    """

    def depths(text: str, seen: frozenset[str]) -> Iterator[float]:
        for name, back in selectors(text):
            if name in records and name not in seen:
                for below in depths(records[name], seen | {name}):
                    yield back + below
            else:
                yield back

    return frozenset(depths(expr, frozenset()))
