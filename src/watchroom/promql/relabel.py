"""The functions that change labels, and those that order series."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from watchroom.errors import QueryError, QuerySyntaxError
from watchroom.promql.frame import Frame, merge_equal
from watchroom.promql.model import Labels, compile_regexp, labels_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.promql.frame import Context

_PART = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)


def is_label_name(name: str) -> bool:
    """Return whether Prometheus 3 takes `name`: any UTF-8 but the empty string."""
    return bool(name) and not any("\ud800" <= char <= "\udfff" for char in name)


def expand(template: str, match: Any) -> str:
    """Return `template` with $1, ${1} and ${name} of a match as Go's Expand has them.

    A group that is not there, or took no part, is empty.
    """
    program = match.re

    def replace(part: re.Match[str]) -> str:
        name = part[1] or part[2]
        if name is None:
            return "$"
        index = int(name) if name.isdecimal() else program.groupindex.get(name, -1)
        if not 0 <= index <= program.groups:
            return ""
        return match.group(index) or ""

    return _PART.sub(replace, template)


def _with_label(frame: Frame, target: str, values: Sequence[str | None]) -> Frame:
    """Return `frame` with the label `target` set where a value is given."""
    labels: list[Labels] = []
    nameless = frame.nameless.copy()
    for row, (old, value) in enumerate(zip(frame.labels, values, strict=True)):
        if value is None:
            labels.append(old)
            continue
        labels.append(labels_of({**dict(old), target: value}))
        if target == "__name__":
            nameless[row] = False
    return merge_equal(Frame(labels, frame.values, frame.present, nameless))


def label_replace(frame: Frame, args: Sequence[str]) -> Frame:
    """Return `frame` with a label made from another that matches a pattern.

    Raises:
        QueryError: The pattern or the label's name is not valid, or two series become
            the same.
    """
    target, template, source, pattern = args
    try:
        program = compile_regexp(pattern)
    except QuerySyntaxError as error:
        raise QueryError(
            f"invalid regular expression in label_replace(): {pattern}"
        ) from error
    if not is_label_name(target):
        raise QueryError(f"invalid destination label name in label_replace(): {target}")
    known: dict[str, str | None] = {}
    values: list[str | None] = []
    for labels in frame.labels:
        value = dict(labels).get(source, "")
        if value not in known:
            match = program.fullmatch(value)
            known[value] = None if match is None else expand(template, match)
        values.append(known[value])
    return _with_label(frame, target, values)


def label_join(frame: Frame, args: Sequence[str]) -> Frame:
    """Return `frame` with a label joined from others.

    Raises:
        QueryError: A label's name is not valid, or two series become the same.
    """
    target, separator, *sources = args
    for source in sources:
        if not is_label_name(source):
            raise QueryError(f"invalid source label name in label_join(): {source}")
    if not is_label_name(target):
        raise QueryError(f"invalid destination label name in label_join(): {target}")
    values = [
        separator.join(pairs.get(source, "") for source in sources)
        for pairs in map(dict, frame.labels)
    ]
    return _with_label(frame, target, values)


def sort_by_value(frame: Frame, context: Context, *, falling: bool) -> Frame:
    """Return the rows ordered by value, NaN last, if this is one instant."""
    if context.steps.size != 1 or not len(frame.labels):
        return frame
    values = frame.values[:, 0]
    order = np.argsort(-values if falling else values, kind="stable")
    return frame.take(order)
