"""Whether an alert that ended has recovered, or only its series are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchroom.errors import QueryError
from watchroom.promql.model import STALE_CELL, VALUE, Matcher
from watchroom.promql.parse import parse
from watchroom.promql.syntax import Selector, walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchroom.monitor.oncall.incident import Firing
    from watchroom.promql.model import Group, Queryable

_LOOKBACK_MS = 300_000
_LONGEST_MS = 6 * 3_600_000


def missing(
    queryable: Queryable, exprs: Iterable[str], firing: Firing, at_ms: int
) -> bool:
    """Return whether series that an alert looked at while it fired are there no more.

    Series of other jobs than the alert's prove nothing about it.

    Args:
        queryable: A snapshot.
        exprs: The expressions of the rules of its name; none: the rule was removed,
            which is somebody's decision and no missing data.
        firing: The alert, ended.
        at_ms: Now.
    """
    ended = firing.ended_ms or at_ms
    start = max(firing.began_ms, ended - _LONGEST_MS) - _LOOKBACK_MS
    for expr in exprs:
        try:
            nodes = list(walk(parse(expr)))
        except QueryError:
            continue
        for node in nodes:
            if not isinstance(node, Selector):
                continue
            matchers = _of_job(node.matchers, firing.labels)
            there = _any(queryable.select(matchers, start, ended), ended)
            if there and not _alive(queryable, matchers, at_ms):
                return True
    return False


def _of_job(matchers: Sequence[Matcher], labels: Mapping[str, str]) -> list[Matcher]:
    job = labels.get("job")
    if not job or any(one.name == "job" for one in matchers):
        return list(matchers)
    return [*matchers, Matcher("job", "=", job)]


def _any(groups: Iterable[Group], end_ms: int) -> bool:
    """Return whether there is any value up to `end_ms`."""
    for group in groups:
        upto = int(np.searchsorted(group.timestamps, end_ms, side="right"))
        if not upto or not group.labels:
            continue
        if group.state is None or bool((group.state[:, :upto] == VALUE).any()):
            return True
    return False


def _alive(queryable: Queryable, matchers: Sequence[Matcher], at_ms: int) -> bool:
    """Return whether a series has a value now, as an instant query would see it."""
    for group in queryable.select(matchers, at_ms - _LOOKBACK_MS, at_ms):
        upto = int(np.searchsorted(group.timestamps, at_ms, side="right"))
        if not upto or not group.labels:
            continue
        if group.state is None:
            return True
        for row in group.state[:, :upto]:
            said = np.flatnonzero((row == VALUE) | (row == STALE_CELL))
            if len(said) and row[said[-1]] == VALUE:
                return True
    return False
