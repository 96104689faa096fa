"""What evaluation passes between nodes: all series at all steps, as one matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from watchroom.errors import QueryError, QuerySyntaxError
from watchroom.promql.model import Labels, drop_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from watchroom.promql.budget import Budget
    from watchroom.promql.model import (
        Floats,
        Mask,
        Matcher,
        Queryable,
        SeriesGroup,
        Times,
    )
    from watchroom.promql.notes import Notes

SAME_LABELS = "vector cannot contain metrics with the same labelset"


class Frame(NamedTuple):
    """An instant vector at every step.

    Attributes:
        labels: One per row (S).
        values: (S, N); cells where `present` is false have no meaning.
        present: (S, N), which cells hold a sample.
        nameless: Per row (S,), whether the name goes at the end of the query; only
            with delayed name removal, else the labels have lost it already.
    """

    labels: list[Labels]
    values: Floats
    present: Mask
    nameless: Mask

    def take(self, rows: NDArray[np.intp]) -> Frame:
        """Return the frame of `rows`, in that order."""
        return Frame(
            [self.labels[row] for row in rows.tolist()],
            self.values[rows],
            self.present[rows],
            self.nameless[rows],
        )

    def occupied(self) -> Frame:
        """Return the frame without the rows that hold no sample."""
        rows = np.flatnonzero(self.present.any(axis=1))
        return self if len(rows) == len(self.labels) else self.take(rows)


Result: TypeAlias = "Frame | Floats | str"
"""What a node gives: a vector, a scalar per step (N,), or a string."""


def as_frame(result: Result) -> Frame:
    """Return `result`, a vector.

    Raises:
        QuerySyntaxError: It is something else.
    """
    if not isinstance(result, Frame):
        raise QuerySyntaxError("expected an instant vector")
    return result


def as_scalar(result: Result) -> Floats:
    """Return `result`, a scalar at every step.

    Raises:
        QuerySyntaxError: It is something else.
    """
    if not isinstance(result, np.ndarray):
        raise QuerySyntaxError("expected a scalar")
    return result


def empty(steps: int) -> Frame:
    """Return the frame without series."""
    return Frame(
        [], np.empty((0, steps)), np.empty((0, steps), bool), np.empty(0, bool)
    )


def one_row(labels: Labels, values: Floats, present: Mask | None = None) -> Frame:
    """Return the frame of a single series."""
    if present is None:
        present = np.ones(len(values), bool)
    return Frame([labels], values[None, :], present[None, :], np.zeros(1, bool))


def stack(frames: Sequence[Frame], steps: int) -> Frame:
    """Return the rows of `frames`, one below the other."""
    if not frames:
        return empty(steps)
    if len(frames) == 1:
        return frames[0]
    return Frame(
        [labels for frame in frames for labels in frame.labels],
        np.concatenate([frame.values for frame in frames]),
        np.concatenate([frame.present for frame in frames]),
        np.concatenate([frame.nameless for frame in frames]),
    )


def merge_equal(frame: Frame) -> Frame:
    """Return `frame` with rows of equal labels joined.

    Raises:
        QueryError: Two of them have a sample at the same step.
    """
    first: dict[Labels, int] = {}
    twins: list[tuple[int, int]] = []
    for row, labels in enumerate(frame.labels):
        home = first.setdefault(labels, row)
        if home != row:
            twins.append((home, row))
    if not twins:
        return frame
    values, present = frame.values.copy(), frame.present.copy()
    for home, row in twins:
        if (present[home] & present[row]).any():
            raise QueryError(SAME_LABELS)
        np.copyto(values[home], values[row], where=present[row])
        present[home] |= present[row]
    joined = Frame(frame.labels, values, present, frame.nameless)
    return joined.take(np.array(sorted(first.values()), np.intp))


class Steps(NamedTuple):
    """The instants at which an expression is evaluated, in milliseconds."""

    start: int
    end: int
    interval: int

    @property
    def size(self) -> int:
        """How many steps there are."""
        return max(0, (self.end - self.start) // self.interval + 1)

    def times(self) -> Times:
        """Return every instant (N,)."""
        return self.start + self.interval * np.arange(self.size, dtype=np.int64)


@dataclass(frozen=True)
class Context:
    """All that evaluation of one query shares; `steps` differs inside a subquery."""

    queryable: Queryable
    steps: Steps
    query: Steps
    lookback_ms: int
    subquery_step_ms: int
    delayed_names: bool
    budget: Budget
    notes: Notes

    def select(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int
    ) -> Sequence[SeriesGroup]:
        """Return the series of a selector; what they take is held before it is read."""
        return self.queryable.select(matchers, start_ms, end_ms, self.budget.reserve)

    def finish(self, frame: Frame) -> Frame:
        """Return `frame` after an operation that may have made labels equal.

        Raises:
            QueryError: Two series with equal labels have a sample at one step.
        """
        self.budget.spend(frame.present.size)
        # With delayed removal an instant query may hold twins until the end.
        if self.delayed_names and self.steps.size == 1:
            return frame
        return merge_equal(frame)

    def without_name(self, frame: Frame) -> Frame:
        """Return `frame` with the name dropped, now or when the query ends."""
        if self.delayed_names:
            marks = np.ones(len(frame.labels), bool)
            return Frame(frame.labels, frame.values, frame.present, marks)
        bare = [drop_name(labels) for labels in frame.labels]
        return Frame(bare, frame.values, frame.present, frame.nameless)
