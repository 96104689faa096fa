"""Samples that came with a time of their own: kept at it, in rows of their own.

A row of the store has one time, and the samples of a target may have as many as there
are samples. So they are spread over a few places, those together that came with one
time when they were first seen: they mostly go on together.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.promql.model import Labels

AHEAD_MS = 10 * 60_000
"""How far before its time a sample may come; the same as in Prometheus."""
BEHIND_MS = 60 * 60_000
"""How old a sample may be; Prometheus allows half of its two hours' blocks."""
_PLACES = 64
_MOST_CELLS = 1_000_000


class StampedRow(NamedTuple):
    """Samples of one time in one place.

    Attributes:
        place: What the target's name in the store goes on with.
    """

    place: str
    at_ms: int
    labels: Sequence[Labels]
    values: Sequence[float]


class Placed(NamedTuple):
    """What a scrape gives to store, and how much of it is too old or too early."""

    rows: Sequence[StampedRow]
    out_of_bounds: int


class Stamps:
    """The stamped series of one target, and what each of them said last."""

    def __init__(self) -> None:
        self._places: dict[Labels, int] = {}
        self._last: dict[Labels, tuple[int, float]] = {}

    def place(
        self, samples: Sequence[tuple[Labels, float, int]], now_ms: int
    ) -> Placed:
        """Return `samples`, labels with value and time, as rows in the order of time.

        What a series said before, at the same time, is not said again.

        Raises:
            FormatError: They have so many times that their rows would not fit.
        """
        fresh: list[tuple[Labels, float, int]] = []
        refused = 0
        for labels, value, at_ms in samples:
            if not now_ms - BEHIND_MS <= at_ms <= now_ms + AHEAD_MS:
                refused += 1
            elif not _same(self._last.get(labels), at_ms, value):
                fresh.append((labels, value, at_ms))
        places = self._assigned(samples, fresh)
        _bound(places, fresh)
        self._places = places
        rows: dict[tuple[int, int], tuple[list[Labels], list[float]]]
        rows = defaultdict(lambda: ([], []))
        for labels, value, at_ms in fresh:
            self._last[labels] = (at_ms, value)
            row = rows[at_ms, places[labels]]
            row[0].append(labels)
            row[1].append(value)
        self._last = {
            labels: at for labels, at in self._last.items() if labels in places
        }
        return Placed(
            [
                StampedRow(f";timestamps {place}", at_ms, *rows[at_ms, place])
                for at_ms, place in sorted(rows)
            ],
            refused,
        )

    def _assigned(
        self,
        samples: Sequence[tuple[Labels, float, int]],
        fresh: Sequence[tuple[Labels, float, int]],
    ) -> dict[Labels, int]:
        """Return the place of each series that is still there."""
        known = self._places
        places = {labels: known[labels] for labels, _, _ in samples if labels in known}
        new = sorted({at_ms for labels, _, at_ms in fresh if labels not in places})
        order = {at_ms: index % _PLACES for index, at_ms in enumerate(new)}
        for labels, _, at_ms in fresh:
            places.setdefault(labels, order.get(at_ms, 0))
        return places


def _same(last: tuple[int, float] | None, at_ms: int, value: float) -> bool:
    if last is None or last[0] != at_ms:
        return False
    # NaN is the same as itself here.
    return last[1] == value or (last[1] != last[1] and value != value)  # noqa: PLR0124


def _bound(
    places: Mapping[Labels, int], samples: Sequence[tuple[Labels, float, int]]
) -> None:
    series: dict[int, set[Labels]] = defaultdict(set)
    times: dict[int, set[int]] = defaultdict(set)
    for labels, _, at_ms in samples:
        series[places[labels]].add(labels)
        times[places[labels]].add(at_ms)
    cells = sum(len(series[place]) * len(times[place]) for place in series)
    if cells > _MOST_CELLS:
        raise FormatError(
            f"{len(samples)} samples with too many different timestamps of their own; "
            "set honor_timestamps: false for the job in prometheus.yml"
        )
