"""Binary operators: scalars, a vector and a scalar, two vectors matched by labels."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchroom.errors import QueryError
from watchroom.promql.frame import Frame, empty
from watchroom.promql.model import Labels, chosen, drop_name, labels_of
from watchroom.promql.syntax import ARITHMETIC, COMPARISON, Binary, Matching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from watchroom.promql.frame import Context
    from watchroom.promql.model import Floats, Mask

_ARITHMETIC: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
_COMPARISON: Mapping[str, Callable[[Floats, Floats], Mask]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


def scalars(op: str, left: Floats, right: Floats) -> Floats:
    """Return the operator on two scalars; a comparison gives 0 or 1."""
    if op in COMPARISON:
        return _COMPARISON[op](left, right).astype(float)
    return _ARITHMETIC[op](left, right)


def _apply(
    node: Binary, left: Floats, right: Floats, result: Floats
) -> tuple[Floats, Mask | None]:
    """Return values, and which of them a filtering comparison keeps (None: all)."""
    if node.op in ARITHMETIC:
        return _ARITHMETIC[node.op](left, right), None
    passed = _COMPARISON[node.op](left, right)
    if node.as_bool:
        return passed.astype(float), None
    return np.broadcast_to(result, passed.shape), passed


def with_scalar(
    node: Binary, frame: Frame, scalar: Floats, context: Context, *, swapped: bool
) -> Frame:
    """Return the operator on a vector and a scalar; `swapped`: the scalar is left."""
    left, right = (scalar, frame.values) if swapped else (frame.values, scalar)
    values, passed = _apply(node, left, right, frame.values)
    present = frame.present if passed is None else frame.present & passed
    result = Frame(frame.labels, values, present, frame.nameless).occupied()
    if node.op in ARITHMETIC or node.as_bool:
        result = context.without_name(result)
    return context.finish(result)


class _Sides(NamedTuple):
    """Rows by signature, a number for each signature."""

    left: NDArray[np.intp]
    right: NDArray[np.intp]
    keys: list[Labels]


def _sides(matching: Matching, left: Frame, right: Frame) -> _Sides:
    numbers: dict[Labels, int] = {}
    sides = [
        np.array(
            [
                numbers.setdefault(
                    chosen(labels, matching.labels, only=matching.on), len(numbers)
                )
                for labels in frame.labels
            ],
            np.intp,
        )
        for frame in (left, right)
    ]
    return _Sides(sides[0], sides[1], list(numbers))


def _any_by(keys: NDArray[np.intp], present: Mask, count: int) -> Mask:
    """Return where any of the rows with each key is there, (count, N)."""
    any_present = np.zeros((count, present.shape[1]), bool)
    np.logical_or.at(any_present, keys, present)
    return any_present


def set_operation(node: Binary, left: Frame, right: Frame, context: Context) -> Frame:
    """Return ``and``, ``or`` or ``unless`` of two vectors."""
    sides = _sides(node.matching, left, right)
    count = len(sides.keys)
    if node.op == "or":
        covered = _any_by(sides.left, left.present, count)[sides.right]
        present = np.concatenate([left.present, right.present & ~covered])
        both = Frame(
            left.labels + right.labels,
            np.concatenate([left.values, right.values]),
            present,
            np.concatenate([left.nameless, right.nameless]),
        )
        return context.finish(both.occupied())
    matched = _any_by(sides.right, right.present, count)[sides.left]
    keep = left.present & (matched if node.op == "and" else ~matched)
    return context.finish(
        Frame(left.labels, left.values, keep, left.nameless).occupied()
    )


def _text(labels: Labels) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"


def _refuse_twins(
    node: Binary, one: Frame, keys: NDArray[np.intp], many: Frame, names: list[Labels]
) -> None:
    """Raise QueryError if the one side has two samples for a match at some step."""
    busy = many.present.any(axis=0)
    matching = node.matching
    rows: dict[int, list[int]] = defaultdict(list)
    for row, key in enumerate(keys.tolist()):
        rows[key].append(row)
    for key, members in rows.items():
        if len(members) < 2:
            continue
        crowded = (one.present[members].sum(axis=0) > 1) & busy
        if not crowded.any():
            continue
        step = int(crowded.argmax())
        duplicates = [one.labels[row] for row in members if one.present[row, step]]
        first, second = sorted(_text(labels) for labels in duplicates[:2])
        side = "left" if matching.cardinality == "one-to-many" else "right"
        raise QueryError(
            f"found duplicate series for the match group {_text(names[key])} on the "
            f"{side} hand-side of the operation: [{first}, {second}];many-to-many "
            "matching not allowed: matching labels must be unique on one side"
        )


def _result_labels(node: Binary, many: Labels, one: Labels, *, drop: bool) -> Labels:
    matching = node.matching
    if drop:
        many = drop_name(many)
    if matching.cardinality == "one-to-one":
        listed = set(matching.labels)
        return tuple(pair for pair in many if (pair[0] in listed) == matching.on)
    if not matching.include:
        return many
    one_pairs = dict(one)
    pairs = dict(many)
    for name in matching.include:
        pairs[name] = one_pairs.get(name, "")
    return labels_of(pairs)


class _Pairs(NamedTuple):
    """Rows of the many side paired with those of the one side."""

    many: NDArray[np.intp]
    one: NDArray[np.intp]
    key: NDArray[np.intp]
    present: Mask


def _pair(many: Frame, one: Frame, keys: _Sides, context: Context) -> _Pairs:
    """Return every pair of rows with one signature; `keys` is (many, one)."""
    by_key: dict[int, list[int]] = defaultdict(list)
    for row, key in enumerate(keys.right.tolist()):
        by_key[key].append(row)
    count = sum(len(by_key[key]) for key in keys.left.tolist())
    context.budget.spend(count * context.steps.size)
    pairs = [
        (row, other, key)
        for row, key in enumerate(keys.left.tolist())
        for other in by_key[key]
    ]
    table = np.array(pairs, np.intp).reshape(-1, 3)
    present = many.present[table[:, 0]] & one.present[table[:, 1]]
    return _Pairs(table[:, 0], table[:, 1], table[:, 2], present)


def _refuse_repeats(node: Binary, pairs: _Pairs, labels: Sequence[Labels]) -> None:
    """Raise QueryError if one match gives two results with the same labels at once."""
    explicit = node.matching.cardinality != "one-to-one"
    seen: dict[tuple[int, Labels | None], Mask] = {}
    for row, key in enumerate(pairs.key.tolist()):
        group = (key, labels[row] if explicit else None)
        before = seen.get(group)
        now = pairs.present[row]
        if before is None:
            seen[group] = now
            continue
        if (before & now).any():
            reason = (
                "grouping labels must ensure unique matches"
                if explicit
                else "many-to-one matching must be explicit (group_left/group_right)"
            )
            raise QueryError(f"multiple matches for labels: {reason}")
        seen[group] = before | now


def vectors(node: Binary, left: Frame, right: Frame, context: Context) -> Frame:
    """Return an arithmetic or comparison operator on two vectors.

    Raises:
        QueryError: The matching leaves more than one partner.
    """
    matching = node.matching
    swapped = matching.cardinality == "one-to-many"
    many, one = (right, left) if swapped else (left, right)
    keys = _sides(matching, many, one)
    _refuse_twins(node, one, keys.right, many, keys.keys)
    pairs = _pair(many, one, keys, context)
    if not len(pairs.key):
        return empty(context.steps.size)
    drop = node.op in ARITHMETIC or (node.as_bool and not context.delayed_names)
    labels = [
        _result_labels(
            node,
            many.labels[row],
            one.labels[other],
            drop=drop,
        )
        for row, other in zip(pairs.many.tolist(), pairs.one.tolist(), strict=True)
    ]
    _refuse_repeats(node, pairs, labels)
    many_values, one_values = many.values[pairs.many], one.values[pairs.one]
    lhs, rhs = (one_values, many_values) if swapped else (many_values, one_values)
    values, passed = _apply(node, lhs, rhs, lhs)
    present = pairs.present if passed is None else pairs.present & passed
    # Prometheus forgets here that a name was to go, and so do we: with delayed removal
    # a comparison between vectors brings the name of its left side back.
    nameless = np.full(len(labels), node.as_bool)
    return context.finish(Frame(labels, values, present, nameless).occupied())
