"""A `Queryable` over series held in memory: for tests, and for rule unit tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchroom.promql.model import (
    STALE_CELL,
    VALUE,
    Labels,
    Matcher,
    SeriesGroup,
    is_stale,
    matches_all,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchroom.promql.model import Floats, Reserve, States, Times


class Series(NamedTuple):
    """One series: times in ms, rising, and values; stale markers by their bits."""

    labels: Labels
    timestamps: Times
    values: Floats


class MemoryQueryable:
    """Series in memory, in groups that share their timestamps.

    Args:
        series: What it holds; labels must not repeat.
    """

    def __init__(self, series: Iterable[Series]) -> None:
        self._groups = _by_timestamps(series)

    def select(
        self,
        matchers: Sequence[Matcher],
        start_ms: int,
        end_ms: int,
        reserve: Reserve | None = None,
    ) -> Sequence[SeriesGroup]:
        """Return the matching series, cut to ``start_ms < t <= end_ms``."""
        groups: list[SeriesGroup] = []
        for group in self._groups:
            rows = [
                row
                for row, labels in enumerate(group.labels)
                if matches_all(matchers, labels)
            ]
            low, high = np.searchsorted(
                group.timestamps, (start_ms, end_ms), side="right"
            )
            if rows and high > low:
                part = slice(low, high)
                if reserve is not None:
                    reserve(len(rows) * int(high - low))
                state = None if group.state is None else group.state[rows, part]
                groups.append(
                    SeriesGroup(
                        [group.labels[row] for row in rows],
                        group.timestamps[part],
                        group.values[rows, part],
                        state,
                    )
                )
        return groups


def _states(values: Floats) -> States | None:
    stale = is_stale(values)
    if not stale.any():
        return None
    return np.where(stale, STALE_CELL, VALUE).astype(np.uint8)


def _by_timestamps(series: Iterable[Series]) -> list[SeriesGroup]:
    alike: dict[bytes, list[Series]] = {}
    for each in series:
        alike.setdefault(each.timestamps.tobytes(), []).append(each)
    groups = []
    for members in alike.values():
        values = np.array([each.values for each in members], np.float64)
        labels = [each.labels for each in members]
        groups.append(
            SeriesGroup(labels, members[0].timestamps, values, _states(values))
        )
    return groups
