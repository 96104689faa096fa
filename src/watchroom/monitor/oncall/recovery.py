"""Whether an alert that ended has recovered, or only its series are missing."""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchroom.errors import QueryError, WatchroomError
from watchroom.promql.model import LOOKBACK_MS, STALE_CELL, VALUE, Matcher
from watchroom.promql.parse import parse
from watchroom.promql.syntax import selectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchroom.monitor.oncall.incident import Firing, Incident
    from watchroom.promql.model import Queryable

    Matchers = tuple[Matcher, ...]

_LOG = logging.getLogger(__name__)
_LONGEST_MS = 6 * 3_600_000


class Recovery(NamedTuple):
    """The result of a check.

    Attributes:
        missing: Incident → fingerprint of an ended alert → whether series are missing.
        failed: How many alerts could not be checked.
    """

    missing: dict[int, dict[str, bool]]
    failed: int


def check_recovery(
    queryable: Queryable,
    incidents: Iterable[Incident],
    exprs: Mapping[str, Sequence[str]],
    at_ms: int,
    seconds: float,
) -> Recovery:
    """Check the ended alerts of incidents, as many as the time allows.

    An alert that can't be checked keeps its own incident open and no other.

    Args:
        queryable: A snapshot of the store.
        incidents: In the order to check them.
        exprs: Alert name → the expressions of its rules.
        at_ms: Now.
        seconds: Time limit.
    """
    lookup, until = SeriesLookup(queryable, at_ms), time.monotonic() + seconds
    judged: dict[int, dict[str, bool]] = {}
    failed = 0
    for incident in incidents:
        if time.monotonic() > until:
            break
        missing = judged[incident.id] = {}
        for name, firing in incident.alerts.items():
            if firing.ended_ms is None or firing.series_missing is False:
                continue
            try:
                missing[name] = lookup.missing(exprs.get(firing.name, ()), firing)
            except Exception as error:  # noqa: BLE001 - tried again, and counted
                failed += 1
                if not isinstance(error, WatchroomError):  # too many series, mostly
                    _LOG.exception("recovery of %s could not be checked", firing.name)
    return Recovery(judged, failed)


class SeriesLookup:
    """Looks up series at one time; what several alerts share is read once.

    Args:
        queryable: A snapshot.
        at_ms: Now.
    """

    def __init__(self, queryable: Queryable, at_ms: int) -> None:
        self._queryable = queryable
        self._at_ms = at_ms
        self._any = cache(self._read_any)
        self._alive = cache(self._read_alive)

    def missing(self, exprs: Iterable[str], firing: Firing) -> bool:
        """Return whether series that an ended alert depended on are missing now.

        Series of other jobs than the alert's don't count.

        Args:
            exprs: The expressions of the rules of its name; if empty, the rule was
                removed, which doesn't count as missing data.
            firing: The ended alert.
        """
        for expr in exprs:
            try:
                tree = parse(expr)
            except QueryError:
                continue
            for selector in selectors(tree):
                matchers = _of_job(selector.matchers, firing.labels)
                if not self._alive(matchers) and self._had_values(matchers, firing):
                    return True
        return False

    def _had_values(self, matchers: Matchers, firing: Firing) -> bool:
        """Return whether there was a value while it fired.

        Read backwards in short steps: a rule may use more series than can be read
        over hours, and the last minutes mostly decide.
        """
        ended = firing.ended_ms or self._at_ms
        start = max(firing.began_ms, ended - _LONGEST_MS) - LOOKBACK_MS
        return any(
            self._any(matchers, max(start, end - LOOKBACK_MS), end)
            for end in range(ended, start, -LOOKBACK_MS)
        )

    def _read_any(self, matchers: Matchers, start_ms: int, end_ms: int) -> bool:
        """Return whether there is any value in ``start_ms < t <= end_ms``."""
        for group in self._queryable.select(matchers, start_ms, end_ms):
            low, high = np.searchsorted(group.timestamps, [start_ms, end_ms], "right")
            if low == high or not group.labels:
                continue
            if group.state is None or (group.state[:, low:high] == VALUE).any():
                return True
        return False

    def _read_alive(self, matchers: Matchers) -> bool:
        """Return whether a series has a value now, as an instant query would see it."""
        at_ms = self._at_ms
        for group in self._queryable.select(matchers, at_ms - LOOKBACK_MS, at_ms):
            upto = int(np.searchsorted(group.timestamps, at_ms, side="right"))
            if not upto or not group.labels:
                continue
            if group.state is None:
                return True
            for row in group.state[:, :upto]:
                cells = np.flatnonzero((row == VALUE) | (row == STALE_CELL))
                if len(cells) and row[cells[-1]] == VALUE:
                    return True
        return False


def _of_job(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> Matchers:
    job = labels.get("job")
    given = tuple(matchers)
    if not job or any(matcher.name == "job" for matcher in given):
        return given
    return (*given, Matcher("job", "=", job))
