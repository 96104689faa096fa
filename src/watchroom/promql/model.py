"""What goes into a query and what comes out: labels, matchers, groups, values.

Times are integer milliseconds since the epoch. A store implements `Queryable`; the
engine asks it once per selector and gets series in groups that share timestamps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
import re2
from numpy.typing import NDArray

from watchroom.errors import QuerySyntaxError

if TYPE_CHECKING:
    from collections.abc import Sequence

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Label pairs sorted by name; ``__name__`` is one of them where there is a name."""

MatchOp: TypeAlias = Literal["=", "!=", "=~", "!~"]
Floats: TypeAlias = NDArray[np.float64]
Times: TypeAlias = NDArray[np.int64]
States: TypeAlias = NDArray[np.uint8]
Mask: TypeAlias = NDArray[np.bool_]

LOOKBACK_MS = 300_000
"""How long a sample stands for its series: Prometheus' --query.lookback-delta."""

METADATA = frozenset({"__name__", "__type__", "__unit__"})
"""The labels that no longer hold once a value has been computed with."""

STALE_BITS = 0x7FF0000000000002
"""The bit pattern of the NaN by which Prometheus ends a series."""

STALE = float(np.array([STALE_BITS], np.uint64).view(np.float64)[0])
"""The stale marker as a float; compare bits (`is_stale`), never with ``==``."""

VALUE, ABSENT, STALE_CELL = 0, 1, 2
"""The states of a cell of `SeriesGroup.state`."""


def is_stale(values: Floats) -> Mask:
    """Return which of `values` are stale markers, by their bits."""
    bits = np.ascontiguousarray(values, np.float64).view(np.uint64)
    stale: Mask = bits == np.uint64(STALE_BITS)
    return stale


def labels_of(pairs: dict[str, str]) -> Labels:
    """Return `pairs` as `Labels`: sorted, without the empty values."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


def metric_name(labels: Labels) -> str:
    """Return the value of ``__name__``, or the empty string."""
    for name, value in labels:
        if name == "__name__":
            return value
    return ""


def drop_name(labels: Labels) -> Labels:
    """Return `labels` without those that name the metric (`METADATA`)."""
    return tuple(pair for pair in labels if pair[0] not in METADATA)


def chosen(labels: Labels, names: tuple[str, ...], *, only: bool) -> Labels:
    """Return the pairs that are named, or all others but the metric's (`METADATA`)."""
    if only:
        return tuple(pair for pair in labels if pair[0] in names)
    return tuple(pair for pair in drop_name(labels) if pair[0] not in names)


@functools.lru_cache(maxsize=1024)
def compile_regexp(pattern: str) -> Any:
    """Return the RE2 program of an anchored `pattern`; its dot is any character.

    Raises:
        QuerySyntaxError: `pattern` is not RE2.
    """
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    try:
        return re2.compile(f"^(?:{pattern})$", options)
    except re2.error as error:
        reason = error.args[0] if error.args else "not a regular expression"
        if isinstance(reason, bytes):
            reason = reason.decode("utf-8", "replace")
        raise QuerySyntaxError(
            f"bad regular expression {pattern!r}: {reason}"
        ) from error


class Matcher(NamedTuple):
    """One condition on one label; a label that is not there has the empty value."""

    name: str
    op: MatchOp
    value: str

    def matches(self, value: str) -> bool:
        """Return whether a label's `value` meets the condition."""
        if self.op == "=":
            return value == self.value
        if self.op == "!=":
            return value != self.value
        matched = compile_regexp(self.value).fullmatch(value) is not None
        return matched if self.op == "=~" else not matched

    def __str__(self) -> str:
        return f'{self.name}{self.op}"{self.value}"'


def matches_all(matchers: Sequence[Matcher], labels: Labels) -> bool:
    """Return whether `labels` meet every one of `matchers`."""
    pairs = dict(labels)
    return all(matcher.matches(pairs.get(matcher.name, "")) for matcher in matchers)


class SeriesGroup(NamedTuple):
    """Series that share their timestamps.

    Attributes:
        labels: One per series (S).
        timestamps: Ascending milliseconds (T).
        values: One row per series (S, T); absent cells are ignored.
        state: Per cell (S, T): 0 a value, 1 absent, 2 stale. None: values everywhere,
            and no value is a stale marker.
    """

    labels: Sequence[Labels]
    timestamps: Times
    values: Floats
    state: States | None = None


Reserve: TypeAlias = Callable[[int], None]
"""Holds memory for so many samples, or raises QueryLimitError."""


class Queryable(Protocol):
    """Where samples come from: an immutable view of a store."""

    def select(
        self,
        matchers: Sequence[Matcher],
        start_ms: int,
        end_ms: int,
        reserve: Reserve | None = None,
    ) -> Sequence[SeriesGroup]:
        """Return the matching series with their samples in ``start_ms < t <= end_ms``.

        A series is in exactly one group, its samples already joined over time.
        A group may hold samples outside the interval; they are not looked at.
        `reserve` is called with the number of samples before they are read.
        """
        ...


class Scalar(NamedTuple):
    """The answer of an instant query that is a number."""

    value: float


class String(NamedTuple):
    """The answer of an instant query that is a string."""

    value: str


class Vector(NamedTuple):
    """The answer of an instant query: series with one value each, in order."""

    samples: Sequence[tuple[Labels, float]]


class Matrix(NamedTuple):
    """Series with the times (ms) and values of their points."""

    series: Sequence[tuple[Labels, Times, Floats]]


Value: TypeAlias = Scalar | String | Vector | Matrix
