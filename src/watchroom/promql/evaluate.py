"""Nodes to values: every kind of node, every function, at all steps at once."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from watchroom.errors import QuerySyntaxError, UnsupportedError
from watchroom.promql import binary, buckets, pointwise, relabel, select
from watchroom.promql.aggregate import aggregate
from watchroom.promql.frame import (
    Context,
    Frame,
    Result,
    Steps,
    as_frame,
    as_scalar,
    empty,
    one_row,
    stack,
)
from watchroom.promql.model import (
    ABSENT,
    METADATA,
    VALUE,
    Labels,
    SeriesGroup,
    labels_of,
    metric_name,
)
from watchroom.promql.over_time import RANGE_FUNCTIONS
from watchroom.promql.syntax import (
    Aggregate,
    Binary,
    Call,
    Negate,
    Node,
    Number,
    RangeSelector,
    Selector,
    Subquery,
    Text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from watchroom.promql.model import Floats, Mask, Times
    from watchroom.promql.windows import Windows


def evaluate(node: Node, context: Context) -> Result:  # noqa: PLR0911 - one per node
    """Return the value of `node` at every step of `context`."""
    context.budget.reserve(context.steps.size)
    match node:
        case Number():
            return np.full(context.steps.size, node.value)
        case Text():
            return node.value
        case Selector():
            return select.instant(node, context).frame
        case Negate():
            inner = evaluate(node.inner, context)
            if isinstance(inner, np.ndarray):
                return -inner
            frame = as_frame(inner)
            return pointwise.replace_values(frame, -frame.values, context)
        case Aggregate():
            frame = _frame(node.inner, context)
            param = None
            if node.param is not None and not isinstance(node.param, Text):
                param = _scalar(node.param, context)
            return aggregate(node, frame, param, context)
        case Binary():
            return _binary(node, context)
        case Call():
            return _call(node, context)
    raise QuerySyntaxError("a range vector stands where an instant vector is needed")


def _frame(node: Node, context: Context) -> Frame:
    return as_frame(evaluate(node, context))


def _scalar(node: Node, context: Context) -> Floats:
    return as_scalar(evaluate(node, context))


def _binary(node: Binary, context: Context) -> Result:
    """Evaluate a chain of operators without a call per operator: `a + b + c + …`."""
    chain = [node]
    while isinstance(chain[-1].left, Binary):
        chain.append(chain[-1].left)
    left = evaluate(chain[-1].left, context)
    for each in reversed(chain):
        left = _operator(each, left, evaluate(each.right, context), context)
    return left


def _operator(node: Binary, left: Result, right: Result, context: Context) -> Result:
    if isinstance(left, np.ndarray):
        if isinstance(right, np.ndarray):
            return binary.scalars(node.op, left, right)
        right = as_frame(right)
        return binary.with_scalar(node, right, left, context, swapped=True)
    left = as_frame(left)
    if isinstance(right, np.ndarray):
        return binary.with_scalar(node, left, right, context, swapped=False)
    right = as_frame(right)
    if node.op in {"and", "or", "unless"}:
        return binary.set_operation(node, left, right, context)
    return binary.vectors(node, left, right, context)


def _strings(nodes: Sequence[Node]) -> list[str]:
    texts = []
    for node in nodes:
        if not isinstance(node, Text):
            raise QuerySyntaxError("expected a literal string")
        texts.append(node.value)
    return texts


def _call(node: Call, context: Context) -> Result:
    name, args = node.name, node.args
    if name in RANGE_FUNCTIONS or name == "absent_over_time":
        return _range_call(node, context)
    if name in pointwise.MATHEMATICS:
        frame = _frame(args[0], context)
        values = pointwise.MATHEMATICS[name](frame.values)
        return pointwise.replace_values(frame, values, context)
    if name in pointwise.DATES:
        return pointwise.dates(name, _values(node, context), context)
    handler = _CALLS.get(name)
    if handler is None:
        raise UnsupportedError(f"{name}() is not supported")
    return handler(node, context)


def _absent_labels(node: Node) -> Labels:
    """Return the labels that the selector in `node` fixes."""
    if isinstance(node, RangeSelector):
        node = node.selector
    if not isinstance(node, Selector):
        return ()
    pairs: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in node.matchers:
        if matcher.name in METADATA:
            continue
        if matcher.op == "=" and matcher.name not in seen:
            pairs[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            pairs.pop(matcher.name, None)
    return labels_of(pairs)


def _absent(node: Node, frame: Frame, context: Context) -> Frame:
    missing: Mask = np.logical_not(frame.present.any(axis=0))
    ones = np.ones(context.steps.size)
    return one_row(_absent_labels(node), ones, missing).occupied()


def _windows(node: Node, context: Context, *, per_step: bool) -> list[Windows]:
    """Return the windows of a range vector; with `per_step` one per step."""
    if isinstance(node, RangeSelector):
        return select.windows(node, context, per_step=per_step)
    if not isinstance(node, Subquery):
        raise QuerySyntaxError("expected a range vector")
    at = select.moments(node.at, node.offset_ms, context)
    frame, times = subquery(node, context)
    if per_step:
        at = np.broadcast_to(at, (context.steps.size,))
    state = np.where(frame.present, VALUE, ABSENT).astype(np.uint8)
    group = SeriesGroup(frame.labels, times, frame.values, state)
    return select.from_group(group, at, node.range_ms, context, frame.nameless)


def subquery(node: Subquery, context: Context) -> tuple[Frame, Times]:
    """Return the inner expression at the subquery's own steps, and these steps."""
    at = select.moments(node.at, node.offset_ms, context)
    step = node.step_ms or context.subquery_step_ms
    first = int(at[0]) - node.range_ms
    # Steps are multiples of the step; the first lies after the open left edge.
    start = (first // step + 1) * step
    inner = dataclasses.replace(context, steps=Steps(start, int(at[-1]), step))
    context.budget.reserve(inner.steps.size)
    if inner.steps.size == 0:
        return empty(0), inner.steps.times()
    result = evaluate(node.inner, inner)
    frame = one_row((), result) if isinstance(result, np.ndarray) else as_frame(result)
    return frame, inner.steps.times()


def _range_call(node: Call, context: Context) -> Frame:
    position = next(
        index
        for index, argument in enumerate(node.args)
        if isinstance(argument, RangeSelector | Subquery)
    )
    source = node.args[position]
    scalars = [
        _scalar(argument, context)
        for index, argument in enumerate(node.args)
        if index != position
    ]
    steps = context.steps.size
    name = "present_over_time" if node.name == "absent_over_time" else node.name
    function = RANGE_FUNCTIONS[name]
    times = context.steps.times()
    frames = []
    for windows in _windows(source, context, per_step=bool(scalars)):
        context.budget.reserve(len(windows.labels) * steps)
        values, valid = function(windows, scalars, times)
        frames.append(windows.frame(values, valid, steps).occupied())
    frame = stack(frames, steps)
    _note(name, frame, scalars, context)
    if node.name == "absent_over_time":
        return _absent(source, frame, context)
    if name not in {"last_over_time", "first_over_time"}:
        frame = context.without_name(frame)
    return context.finish(frame)


def _note(name: str, frame: Frame, scalars: Sequence[Floats], context: Context) -> None:
    """Add annotations for odd arguments of a range function."""
    if name in {"rate", "increase"}:
        for metric in dict.fromkeys(map(metric_name, frame.labels)):
            context.notes.counter(metric)
    elif name == "quantile_over_time" and frame.labels:
        context.notes.quantiles(scalars[0][frame.present.any(axis=0)])


def _timestamp(node: Call, context: Context) -> Result:
    argument = node.args[0]
    if isinstance(argument, Selector):
        cells = select.instant(argument, context, timed=True)
        return pointwise.replace_values(cells.frame, cells.times, context)
    frame = _frame(argument, context)
    now = np.broadcast_to(context.steps.times() / 1000, frame.values.shape)
    return pointwise.replace_values(frame, now, context)


def _to_scalar(node: Call, context: Context) -> Result:
    frame = _frame(node.args[0], context)
    if not frame.labels:
        return np.full(context.steps.size, np.nan)
    single = frame.present.sum(axis=0) == 1
    row = frame.present.argmax(axis=0)
    return np.where(single, frame.values[row, np.arange(len(row))], np.nan)


def _sort(node: Call, context: Context) -> Result:
    frame = _frame(node.args[0], context)
    falling = node.name == "sort_desc"
    if context.steps.size > 1:
        context.notes.warn(
            "sort is ineffective for range queries since results are always ordered by "
            "labels"
        )
    return relabel.sort_by_value(frame, context, falling=falling)


def _labels(node: Call, context: Context) -> Result:
    frame = _frame(node.args[0], context)
    change = (
        relabel.label_replace if node.name == "label_replace" else relabel.label_join
    )
    return change(frame, _strings(node.args[1:]))


def _values(node: Call, context: Context) -> list[Result]:
    return [evaluate(argument, context) for argument in node.args]


def _histogram(node: Call, context: Context) -> Result:
    *scalars, histogram = node.args
    limits = [_scalar(argument, context) for argument in scalars]
    kernel = buckets.fraction_kernel
    if node.name == "histogram_quantile":
        context.notes.quantiles(limits[0])
        kernel = buckets.quantile_kernel
    frame = _frame(histogram, context)
    return context.finish(buckets.apply(kernel, frame, limits, context))


def _clamp(node: Call, context: Context) -> Result:
    return pointwise.clamp(node.name, _values(node, context), context)


_CALLS: Mapping[str, Callable[[Call, Context], Result]] = {
    "absent": lambda node, context: _absent(
        node.args[0], _frame(node.args[0], context), context
    ),
    "clamp": _clamp,
    "clamp_max": _clamp,
    "clamp_min": _clamp,
    "histogram_fraction": _histogram,
    "histogram_quantile": _histogram,
    "label_join": _labels,
    "label_replace": _labels,
    "pi": lambda node, context: np.full(context.steps.size, np.pi),  # noqa: ARG005 - one shape for all
    "round": lambda node, context: pointwise.rounded(_values(node, context), context),
    "scalar": _to_scalar,
    "sort": _sort,
    "sort_desc": _sort,
    "time": lambda node, context: context.steps.times() / 1000,  # noqa: ARG005 - one shape for all
    "timestamp": _timestamp,
    "vector": lambda node, context: one_row((), _scalar(node.args[0], context)),
}
