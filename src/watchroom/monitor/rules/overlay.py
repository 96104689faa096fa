"""A snapshot with the results of the current evaluation on top of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchroom.promql.model import (
    ABSENT,
    STALE,
    STALE_CELL,
    VALUE,
    SeriesGroup,
    is_stale,
    matches_all,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchroom.promql.model import Floats, Labels, Matcher, Queryable, Reserve


class Overlay:
    """A `Queryable`: the store as it was, plus one sample per series at `at_ms`.

    A later rule of a group sees what the earlier ones gave, before the group's one
    append. The first sample of a series wins, as it does in the store.
    """

    def __init__(self, base: Queryable, at_ms: int) -> None:
        self._base = base
        self._at_ms = at_ms
        self._samples: dict[Labels, float] = {}
        self._stale: set[Labels] = set()

    def add(self, samples: Iterable[tuple[Labels, float]]) -> int:
        """Lay samples on top; return how many were refused: the first one stays."""
        refused = 0
        for labels, value in samples:
            if labels in self._samples:
                refused += 1
            else:
                self._samples[labels] = value
        return refused

    def end(self, series: Iterable[Labels]) -> None:
        """Lay stale markers on top, where no rule of this evaluation gave a value."""
        self._stale.update(series)

    def row(self) -> tuple[list[Labels], Floats]:
        """Return everything laid on top, as one row for the store."""
        ended = [labels for labels in self._stale if labels not in self._samples]
        labels = [*self._samples, *ended]
        values = np.full(len(labels), STALE, np.float64)
        values[: len(self._samples)] = list(self._samples.values())
        return labels, values

    def select(
        self,
        matchers: Sequence[Matcher],
        start_ms: int,
        end_ms: int,
        reserve: Reserve | None = None,
    ) -> Sequence[SeriesGroup]:
        """Return the base's groups, the matching samples joined to their series."""
        groups = self._base.select(matchers, start_ms, end_ms, reserve)
        if not start_ms < self._at_ms <= end_ms:
            return groups
        labels, values = self.row()
        fresh = {
            series: value
            for series, value in zip(labels, values, strict=True)
            if matches_all(matchers, series)
        }
        if not fresh:
            return groups
        joined = [self._joined(group, fresh) for group in groups]
        if fresh:
            column = np.fromiter(fresh.values(), np.float64, len(fresh))
            joined.append(
                SeriesGroup(
                    tuple(fresh),
                    np.array([self._at_ms], np.int64),
                    column[:, None],
                    np.where(is_stale(column), STALE_CELL, VALUE).astype(np.uint8)[
                        :, None
                    ],
                )
            )
        return joined

    def _joined(self, group: SeriesGroup, fresh: dict[Labels, float]) -> SeriesGroup:
        """Return `group` with one more column; takes what it uses from `fresh`."""
        updated = [labels in fresh for labels in group.labels]
        if not any(updated):
            return group
        if len(group.timestamps) and group.timestamps[-1] >= self._at_ms:
            for labels in group.labels:  # the store has this moment already
                fresh.pop(labels, None)
            return group
        column = np.array(
            [fresh.pop(labels, np.nan) for labels in group.labels], np.float64
        )
        cells = np.where(
            updated, np.where(is_stale(column), STALE_CELL, VALUE), ABSENT
        ).astype(np.uint8)
        before = group.state
        if before is None:
            before = np.zeros(group.values.shape, np.uint8)
        return SeriesGroup(
            group.labels,
            np.append(group.timestamps, np.int64(self._at_ms)),
            np.hstack((group.values, column[:, None])),
            np.hstack((before, cells[:, None])),
        )
