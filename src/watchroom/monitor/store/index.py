"""Which series there are, and which of them match: an inverted index over labels.

Series are numbered in the order they are first seen and never renumbered, so the
postings of a label pair are ascending by construction.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchroom.promql.model import labels_of, metric_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchroom.promql.model import Labels, Mask, Matcher, Times

    Ids = Times

NEVER = np.iinfo(np.int64).min
"""`Index.last` of a series that has no sample."""

_REMEMBERED = 512


class MatchedSeries(NamedTuple):
    """What a set of matchers found: series ids, ascending, and their metric names."""

    ids: Ids
    names: frozenset[str]


class Index:
    """Series by id, by labels and by label pair.

    The caller's lock is held for `intern` and `match`; ids that a snapshot has never
    heard of do no harm, since its blocks and rows do not name them.
    """

    def __init__(self) -> None:
        self.labels: dict[int, Labels] = {}
        self.names: dict[int, str] = {}
        self.last: Times = np.full(1024, NEVER, np.int64)
        """The time of the newest sample, by series id."""
        self.next_id = 1
        self.unsaved: list[int] = []
        """Ids that are not in the database yet, in order."""
        self._ids: dict[Labels, int] = {}
        self._postings: dict[str, dict[str, list[int]]] = {}
        self._matched: OrderedDict[tuple[Matcher, ...], MatchedSeries] = OrderedDict()

    def __len__(self) -> int:
        return len(self.labels)

    def find(self, labels: Labels) -> int | None:
        """Return the id of `labels`, or None."""
        return self._ids.get(labels)

    def intern(self, labels: Labels) -> int:
        """Return the id of `labels`, a new one when they are new."""
        series_id = self._ids.get(labels)
        if series_id is None:
            tidy = labels_of(dict(labels))
            series_id = self._ids.get(tidy)
            if series_id is None:
                series_id = self.next_id
                self.add(series_id, tidy)
                self.unsaved.append(series_id)
        return series_id

    def add(self, series: int, labels: Labels) -> None:
        """Put a series under the id it has in the database."""
        name = metric_name(labels)
        self.labels[series] = labels
        self.names[series] = name
        self._ids[labels] = series
        for label, value in labels:
            values = self._postings.setdefault(label, {})
            values.setdefault(value, []).append(series)
        self.reserve(series)
        self._matched.clear()

    def reserve(self, series: int) -> None:
        """Make room for ids up to `series`, which no new series will get."""
        self.next_id = max(self.next_id, series + 1)
        if series >= len(self.last):
            grown = np.full(max(series + 1, len(self.last) * 2), NEVER, np.int64)
            grown[: len(self.last)] = self.last
            self.last = grown

    def without(self, gone: set[int]) -> Index:
        """Return an index of all series but `gone`; snapshots keep the old one."""
        remaining = Index()
        for series, labels in self.labels.items():
            if series not in gone:
                remaining.add(series, labels)
        remaining.next_id = self.next_id
        remaining.unsaved = [series for series in self.unsaved if series not in gone]
        remaining.last = self.last.copy()
        remaining.last[list(gone)] = NEVER
        return remaining

    def match(self, matchers: Sequence[Matcher]) -> MatchedSeries:
        """Return the series that meet every matcher.

        A label that a series does not have has the empty value, as in Prometheus. A
        regular expression runs once per distinct value, not per series.
        """
        key = tuple(matchers)
        matched = self._matched.get(key)
        if matched is not None:
            self._matched.move_to_end(key)
            return matched
        candidates = self._all()
        # Equality first: it leaves the least for the others.
        for matcher in sorted(key, key=lambda matcher: matcher.op != "="):
            if not candidates.any():
                break
            self._narrow(candidates, matcher)
        ids = np.flatnonzero(candidates).astype(np.int64)
        names = frozenset(self.names[int(series)] for series in ids)
        matched = MatchedSeries(ids, names)
        self._matched[key] = matched
        if len(self._matched) > _REMEMBERED:
            self._matched.popitem(last=False)
        return matched

    def _all(self) -> Mask:
        mask = np.zeros(self.next_id, np.bool_)
        mask[np.fromiter(self.labels, np.int64, len(self.labels))] = True
        return mask

    def _narrow(self, candidates: Mask, matcher: Matcher) -> None:
        """Take out of `candidates` what `matcher` does not meet."""
        values = self._postings.get(matcher.name, {})
        if matcher.matches(""):
            # All without the label, and those whose value matches.
            for value in values:
                if not matcher.matches(value):
                    candidates[values[value]] = False
            return
        matching = np.zeros_like(candidates)
        for value in self._chosen(values, matcher):
            matching[values[value]] = True
        candidates &= matching

    @staticmethod
    def _chosen(values: dict[str, list[int]], matcher: Matcher) -> Iterable[str]:
        if matcher.op == "=":
            return (matcher.value,) if matcher.value in values else ()
        return [value for value in values if matcher.matches(value)]
