"""Aggregation operators: rows ordered by group once, then reduced by block."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from watchroom.errors import QueryError
from watchroom.promql import sums
from watchroom.promql.frame import Frame, empty
from watchroom.promql.model import Labels, chosen, labels_of
from watchroom.promql.quantiles import quantile
from watchroom.promql.relabel import is_label_name
from watchroom.promql.value import format_general, format_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from watchroom.promql.frame import Context
    from watchroom.promql.model import Floats, Mask
    from watchroom.promql.syntax import Aggregate, Text

_INT64 = 2.0**63
_LIMITS = frozenset({"topk", "bottomk"})


class Blocks(NamedTuple):
    """A frame whose rows are sorted by group; `starts` are the groups' first rows."""

    frame: Frame
    starts: NDArray[np.intp]
    labels: list[Labels]

    def spans(self) -> list[tuple[int, int]]:
        """Return the first row of each group and the row after its last."""
        ends = [*self.starts[1:].tolist(), len(self.frame.labels)]
        return list(zip(self.starts.tolist(), ends, strict=True))


def _blocks(node: Aggregate, frame: Frame) -> Blocks:
    groups: dict[Labels, list[int]] = defaultdict(list)
    for row, labels in enumerate(frame.labels):
        groups[chosen(labels, node.labels, only=not node.without)].append(row)
    order = [row for rows in groups.values() for row in rows]
    sizes = np.array([len(rows) for rows in groups.values()], np.intp)
    ordered = frame if order == list(range(len(order))) else frame.take(np.array(order))
    return Blocks(ordered, np.cumsum(sizes) - sizes, list(groups))


def _filled(frame: Frame, missing: float) -> Floats:
    return np.where(frame.present, frame.values, missing)


def _sum(blocks: Blocks) -> Floats:
    return sums.sum_groups(_filled(blocks.frame, 0.0), blocks.starts)


def _count(blocks: Blocks) -> Floats:
    counts = np.add.reduceat(blocks.frame.present, blocks.starts, axis=0, dtype=int)
    return counts.astype(float)


def _avg(blocks: Blocks) -> Floats:
    counts = np.maximum(_count(blocks), 1.0)
    means = _sum(blocks) / counts
    values = _filled(blocks.frame, 0.0)
    for group, (start, end) in enumerate(blocks.spans()):
        bad = np.flatnonzero(~np.isfinite(means[group]))
        if len(bad):
            rows, present = values[start:end, bad], blocks.frame.present[start:end, bad]
            means[group, bad] = sums.mean_in_order(rows, present)
    return means


def _variance(blocks: Blocks) -> Floats:
    values = _filled(blocks.frame, np.nan)
    counts = np.maximum(_count(blocks), 1.0)
    sizes = np.diff(np.append(blocks.starts, len(values)))
    group = np.repeat(np.arange(len(sizes)), sizes)
    # Deviations from the first value: exactly 0 when all are the same.
    first = np.empty_like(counts)
    for index, (start, end) in enumerate(blocks.spans()):
        row = blocks.frame.present[start:end].argmax(axis=0)
        first[index] = np.take_along_axis(values[start:end], row[None, :], axis=0)[0]
    shifted = np.where(blocks.frame.present, values - first[group], 0.0)
    mean = sums.sum_groups(shifted, blocks.starts) / counts
    spread = np.where(blocks.frame.present, (shifted - mean[group]) ** 2, 0.0)
    return sums.sum_groups(spread, blocks.starts) / counts


_REDUCTIONS: Mapping[str, Callable[[Blocks], Floats]] = {
    "avg": _avg,
    "count": _count,
    "group": lambda blocks: np.ones((len(blocks.starts), blocks.frame.values.shape[1])),
    "max": lambda blocks: np.fmax.reduceat(
        _filled(blocks.frame, np.nan), blocks.starts
    ),
    "min": lambda blocks: np.fmin.reduceat(
        _filled(blocks.frame, np.nan), blocks.starts
    ),
    "stddev": lambda blocks: np.sqrt(_variance(blocks)),
    "stdvar": _variance,
    "sum": _sum,
}


def _quantile(blocks: Blocks, share: Floats) -> Floats:
    result = np.empty((len(blocks.starts), blocks.frame.values.shape[1]))
    for group, (start, end) in enumerate(blocks.spans()):
        values = blocks.frame.values[start:end].T
        result[group] = quantile(share, values, blocks.frame.present[start:end].T)
    return result


def _limit(limits: Floats) -> Floats:
    """Return the operator's parameter at each step, checked as Prometheus does.

    It fails even over no series at all.
    """
    if np.isnan(limits).any():
        raise QueryError("Parameter value is NaN")
    if limits.max() < 1:
        return np.zeros_like(limits)
    if limits.min() <= -_INT64:
        raise QueryError(
            f"Scalar value {format_general(float(limits.min()))} underflows int64"
        )
    if limits.max() >= _INT64:
        raise QueryError(
            f"Scalar value {format_general(float(limits.max()))} overflows int64"
        )
    return np.trunc(limits)


def _ranks(values: Floats, present: Mask, *, largest: bool) -> NDArray[np.intp]:
    """Return each row's place in its column: NaN last, and after it what is absent."""
    keys = -values if largest else values
    absent = np.where(present, np.where(np.isnan(values), 1, 0), 2)
    order = np.lexsort((np.where(present, keys, 0.0), absent), axis=0)
    return np.argsort(order, axis=0, kind="stable")


def _top(node: Aggregate, blocks: Blocks, most: Floats, context: Context) -> Frame:
    """Return the rows of topk or bottomk, ranked if this is one instant."""
    frame = blocks.frame
    keep = np.zeros_like(frame.present)
    order: list[int] = []
    for start, end in blocks.spans():
        context.budget.check()
        present = frame.present[start:end]
        largest = node.op == "topk"
        ranks = _ranks(frame.values[start:end], present, largest=largest)
        keep[start:end] = present & (ranks < most)
        order += (start + np.argsort(ranks[:, 0], kind="stable")).tolist()
    top = Frame(frame.labels, frame.values, keep, frame.nameless)
    if context.steps.size == 1:
        top = top.take(np.array(order, np.intp))
    return top.occupied()


def _count_values(node: Aggregate, frame: Frame, context: Context) -> Frame:
    steps = context.steps.size
    param = cast("Text", node.param)
    label = param.value
    if not is_label_name(label):
        raise QueryError(f"invalid label name {param.written}")
    if not node.without:
        node = node._replace(labels=(*node.labels, label))
    counts: dict[Labels, Floats] = defaultdict(lambda: np.zeros(steps))
    for row, labels in enumerate(frame.labels):
        present = np.flatnonzero(frame.present[row])
        # Bits, not values: 0 and -0 count apart, NaN with NaN.
        bits = frame.values[row, present].view(np.int64)
        for value in np.unique(bits):
            text = format_plain(float(value.view(np.float64)))
            full = labels_of({**dict(labels), label: text})
            group = chosen(full, node.labels, only=not node.without)
            if group not in counts:
                context.budget.spend(steps)
            counts[group][present[bits == value]] += 1
    values = np.array(list(counts.values())).reshape(len(counts), steps)
    return Frame(list(counts), values, values > 0, np.zeros(len(counts), bool))


def aggregate(
    node: Aggregate, frame: Frame, param: Floats | None, context: Context
) -> Frame:
    """Return `frame` aggregated by the operator of `node`.

    Args:
        node: The operator and its labels.
        frame: What is aggregated.
        param: The operator's scalar at every step (N,), if it takes one.
        context: The steps and the budget.

    Raises:
        QueryError: The parameter does not fit the operator.
    """
    steps = context.steps.size
    parameter = np.zeros(steps) if param is None else param
    context.budget.spend(frame.present.size)
    if node.op == "count_values":
        return _count_values(node, frame, context)
    if node.op in _LIMITS:
        parameter = _limit(parameter)
    if node.op == "quantile":
        context.notes.quantiles(np.array([parameter.max(), parameter.min()]))
    if not frame.labels:
        return empty(steps)
    blocks = _blocks(node, frame)
    if node.op in _LIMITS:
        return _top(node, blocks, parameter, context)
    if node.op == "quantile":
        values = _quantile(blocks, parameter)
    else:
        values = _REDUCTIONS[node.op](blocks)
    present = np.logical_or.reduceat(blocks.frame.present, blocks.starts, axis=0)
    nameless = np.logical_or.reduceat(blocks.frame.nameless, blocks.starts)
    return Frame(blocks.labels, values, present, nameless).occupied()
