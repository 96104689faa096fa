"""The nodes of a parsed expression, in the terms that evaluation needs.

Durations and times are milliseconds. Parentheses are gone; so is unary plus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from watchroom.promql.model import Matcher

At: TypeAlias = int | Literal["start", "end"] | None
"""The ``@`` modifier: a time, an end of the query, or none."""

Cardinality: TypeAlias = Literal["one-to-one", "many-to-one", "one-to-many", "set"]
ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "^", "atan2"})
COMPARISON = frozenset({"==", "!=", ">", "<", ">=", "<="})


class Number(NamedTuple):
    """A literal number or duration."""

    value: float


class Text(NamedTuple):
    """A literal string, and how it was written."""

    value: str
    written: str


class Selector(NamedTuple):
    """The last sample of the matching series."""

    matchers: tuple[Matcher, ...]
    offset_ms: int = 0
    at: At = None

    @property
    def metric(self) -> str:
        """The metric it names, or the empty string: a pattern isn't a name."""
        for matcher in self.matchers:
            if matcher.name == "__name__" and matcher.op == "=":
                return matcher.value
        return ""


class RangeSelector(NamedTuple):
    """The samples of the matching series over a time."""

    selector: Selector
    range_ms: int


class Subquery(NamedTuple):
    """An expression evaluated at many instants; `step_ms` 0 is the default step."""

    inner: Node
    range_ms: int
    step_ms: int
    offset_ms: int = 0
    at: At = None


class Call(NamedTuple):
    """A function and its arguments."""

    name: str
    args: tuple[Node, ...]


class Aggregate(NamedTuple):
    """An aggregation operator; `param` is what topk, quantile, … take first."""

    op: str
    inner: Node
    param: Node | None
    labels: tuple[str, ...]
    without: bool


class Matching(NamedTuple):
    """How the two sides of a binary operator find each other."""

    cardinality: Cardinality = "one-to-one"
    on: bool = False
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()


class Binary(NamedTuple):
    """A binary operator."""

    op: str
    left: Node
    right: Node
    as_bool: bool
    matching: Matching


class Negate(NamedTuple):
    """Unary minus."""

    inner: Node


Node: TypeAlias = (
    Number
    | Text
    | Selector
    | RangeSelector
    | Subquery
    | Call
    | Aggregate
    | Binary
    | Negate
)


def children(node: Node) -> Sequence[Node]:
    """Return the nodes directly below `node`."""
    match node:
        case RangeSelector():
            return (node.selector,)
        case Subquery() | Negate():
            return (node.inner,)
        case Call():
            return node.args
        case Aggregate():
            return (node.inner,) if node.param is None else (node.param, node.inner)
        case Binary():
            return (node.left, node.right)
    return ()


def looking_back(tree: Node) -> Iterator[tuple[Node, int]]:
    """Yield `tree` and all below it, parents first, with how far back (ms) each looks.

    Ranges and offsets add up; an offset into the future counts as none.
    """
    waiting = [(tree, 0)]
    while waiting:
        node, back = waiting.pop()
        if isinstance(node, Selector | Subquery):
            back += max(node.offset_ms, 0)
        if isinstance(node, RangeSelector | Subquery):
            back += node.range_ms
        yield node, back
        waiting += [(child, back) for child in reversed(children(node))]


def walk(tree: Node) -> Iterator[Node]:
    """Yield `tree` and all below it, parents first."""
    return (node for node, _ in looking_back(tree))


def selectors(tree: Node) -> Iterator[Selector]:
    """Yield the selectors of an expression, those of ranges too, in its order."""
    return (node for node in walk(tree) if isinstance(node, Selector))
