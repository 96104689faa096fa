"""The engine: a query's text in, its value out."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchroom.errors import QueryLimitError, QuerySyntaxError
from watchroom.promql import select
from watchroom.promql.budget import Budget, MemoryBudget
from watchroom.promql.evaluate import evaluate, subquery
from watchroom.promql.frame import (
    Context,
    Frame,
    Steps,
    as_frame,
    merge_equal,
    one_row,
)
from watchroom.promql.model import (
    LOOKBACK_MS,
    Labels,
    Matrix,
    Scalar,
    String,
    Vector,
    drop_name,
)
from watchroom.promql.notes import Notes
from watchroom.promql.parse import parse
from watchroom.promql.syntax import RangeSelector, Subquery, Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Self, TypeAlias

    from watchroom.promql.model import Floats, Queryable, Times, Value
    from watchroom.promql.syntax import Node

    Series: TypeAlias = tuple[Labels, Times, Floats]

_QUERY_BYTES = 256 << 20
_ALL_BYTES = 512 << 20


class Query(NamedTuple):
    """One query's budget and look-back, and the annotations it collects."""

    budget: Budget
    notes: Notes
    lookback_ms: int

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.budget.close()


class Engine:
    """Answers PromQL from a `Queryable`, with the semantics of Prometheus 3.

    Args:
        lookback_seconds: How long after its time a sample still counts.
        max_samples: What one query may touch: stored samples and results.
        timeout_seconds: How long one query may take.
        subquery_step_seconds: The step of ``[1h:]``.
        delayed_name_removal: Drop metric names at the end of a query instead of in each
            function, as Prometheus does behind a feature flag (and in its own tests).
        memory: What its queries may hold, shared by all that run at the same time.
    """

    def __init__(
        self,
        lookback_seconds: float = LOOKBACK_MS / 1000,
        max_samples: int = 50_000_000,
        timeout_seconds: float = 120.0,
        *,
        subquery_step_seconds: float = 60.0,
        delayed_name_removal: bool = False,
        memory: MemoryBudget | None = None,
    ) -> None:
        self.memory = memory or MemoryBudget(_QUERY_BYTES, _ALL_BYTES)
        self._lookback_ms = round(lookback_seconds * 1000)
        self._max_samples = max_samples
        self._timeout_seconds = timeout_seconds
        self._subquery_step_ms = round(subquery_step_seconds * 1000)
        self._delayed_names = delayed_name_removal

    def set_subquery_step(self, seconds: float) -> None:
        """Give ``[1h:]`` this step from the next query on."""
        self._subquery_step_ms = max(1, round(seconds * 1000))

    def ask(self, lookback_seconds: float = 0.0) -> Query:
        """Return what a query is asked with, to hold memory beyond its evaluation.

        A context: its bytes are given back at the end.

        Args:
            lookback_seconds: In place of the engine's own, when above zero.
        """
        lookback_ms = round(lookback_seconds * 1000) or self._lookback_ms
        budget = Budget(self._max_samples, self._timeout_seconds, self.memory)
        return Query(budget, Notes(), lookback_ms)

    def instant(
        self,
        queryable: Queryable,
        expr: str | Node,
        at_ms: int,
        query: Query | None = None,
    ) -> Value:
        """Return the value of `expr`, a text or its nodes, at one time.

        Raises:
            QuerySyntaxError: `expr` does not parse or its types do not fit.
            UnsupportedError: It is PromQL that this engine refuses.
            QueryLimitError: Too many samples or bytes, or too late.
            QueryError: It cannot be answered over these series.
        """
        node = parse(expr) if isinstance(expr, str) else expr
        steps = Steps(at_ms, at_ms, 1)
        with self._evaluating(queryable, steps, query) as context:
            return _instant(node, context)

    def range(
        self,
        queryable: Queryable,
        expr: str | Node,
        start_ms: int,
        end_ms: int,
        step_ms: int,
        query: Query | None = None,
    ) -> Matrix:
        """Return the values of `expr` at every step from `start_ms` to `end_ms`.

        Raises:
            QuerySyntaxError: `expr` does not parse, or is of another type.
            UnsupportedError: It is PromQL that this engine refuses.
            QueryLimitError: Too many samples or bytes, or too late.
            QueryError: It cannot be answered over these series.
        """
        node = parse(expr) if isinstance(expr, str) else expr
        kind = {
            RangeSelector: "range vector",
            Subquery: "range vector",
            Text: "string",
        }.get(type(node))
        if kind is not None:
            raise QuerySyntaxError(
                f'invalid expression type "{kind}" for range query, must be Scalar or '
                "instant Vector"
            )
        if step_ms <= 0:
            raise QuerySyntaxError("the step of a range query must be greater than 0")
        steps = Steps(start_ms, end_ms, step_ms)
        with self._evaluating(queryable, steps, query) as context:
            return _range(node, context) if steps.size else Matrix([])

    @contextlib.contextmanager
    def _evaluating(
        self, queryable: Queryable, steps: Steps, query: Query | None
    ) -> Iterator[Context]:
        with contextlib.ExitStack() as stack:
            if query is None:
                query = stack.enter_context(self.ask())
            stack.enter_context(np.errstate(all="ignore"))
            try:
                yield Context(
                    queryable,
                    steps,
                    steps,
                    query.lookback_ms,
                    self._subquery_step_ms,
                    self._delayed_names,
                    query.budget,
                    query.notes,
                )
            except RecursionError as error:
                raise QueryLimitError(
                    "the expression is nested too deeply to be evaluated"
                ) from error


def _instant(node: Node, context: Context) -> Value:
    if isinstance(node, RangeSelector):
        return _sorted(_range_matrix(node, context))
    if isinstance(node, Subquery):
        return _sorted(_subquery_matrix(node, context))
    result = evaluate(node, context)
    if isinstance(result, str):
        return String(result)
    if isinstance(result, np.ndarray):
        return Scalar(float(result[0]))
    frame = _drop_names(result).occupied()
    return Vector(list(zip(frame.labels, frame.values[:, 0].tolist(), strict=True)))


def _range(node: Node, context: Context) -> Matrix:
    result = evaluate(node, context)
    if isinstance(result, np.ndarray):
        result = one_row((), result)
    return _sorted(_points(as_frame(result), context.steps.times(), context))


def _drop_names(frame: Frame) -> Frame:
    """Return `frame` with the names dropped that were to go at the end.

    Raises:
        QueryError: Two series with a sample at one step become the same.
    """
    if frame.nameless.any():
        labels = [
            drop_name(row_labels) if nameless else row_labels
            for row_labels, nameless in zip(
                frame.labels, frame.nameless.tolist(), strict=True
            )
        ]
        frame = Frame(labels, frame.values, frame.present, frame.nameless)
    return merge_equal(frame)


def _sorted(series: Iterable[Series]) -> Matrix:
    return Matrix(sorted(series, key=lambda row: row[0]))


def _range_matrix(node: RangeSelector, context: Context) -> list[Series]:
    series = []
    for windows in select.windows(node, context, per_step=False):
        for row, labels in enumerate(windows.labels):
            edge = 0 if windows.left.shape[0] == 1 else row
            part = slice(windows.left[edge, 0], windows.right[edge, 0])
            times = windows.times[0 if windows.times.shape[0] == 1 else row, part]
            if len(times):
                series.append((labels, times, windows.values[row, part]))
    return series


def _subquery_matrix(node: Subquery, context: Context) -> list[Series]:
    return _points(*subquery(node, context), context)


def _points(frame: Frame, times: Times, context: Context) -> list[Series]:
    """Return the series of a frame, whose steps lie at `times`."""
    frame = _drop_names(frame).occupied()
    context.budget.reserve(2 * frame.present.size)
    return [
        (labels, times[present], values[present])
        for labels, values, present in zip(
            frame.labels, frame.values, frame.present, strict=True
        )
    ]
