"""How far back an expression looks: what has to be full before its silence counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.promql.parse import parse
from watchroom.promql.syntax import Selector, looking_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def selectors(expr: str) -> list[tuple[str, float]]:
    """Return the metrics that `expr` reads, each with the seconds it looks back.

    Raises:
        QueryError: It does not parse.
    """
    return [
        (node.metric, back / 1000)
        for node, back in looking_back(parse(expr))
        if isinstance(node, Selector)
    ]


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
