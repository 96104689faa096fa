"""Samples that came with a time of their own: kept at it, in rows of their own.

A row of the store has one time, and the samples of a target may have as many as there
are samples. So they are spread over a few slots: series that came with the same time
when they were first seen share one, as they mostly go on together.
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
_SLOTS = 64
_MOST_CELLS = 1_000_000


class StampedRow(NamedTuple):
    """Samples of one time in one slot.

    Attributes:
        suffix: What is appended to the target's name in the store.
    """

    suffix: str
    at_ms: int
    labels: Sequence[Labels]
    values: Sequence[float]


class StampedRows(NamedTuple):
    """The rows to store of a scrape, and how many samples were too old or too new."""

    rows: Sequence[StampedRow]
    out_of_bounds: int


class TimestampSplitter:
    """Spreads a target's timestamped series over rows; keeps the last samples."""

    def __init__(self) -> None:
        self._slots: dict[Labels, int] = {}
        self._last: dict[Labels, tuple[int, float]] = {}

    def rows(
        self, samples: Sequence[tuple[Labels, float, int]], now_ms: int
    ) -> StampedRows:
        """Return `samples`, labels with value and time, as rows in the order of time.

        A sample that a series had at the same time before is left out.

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
        slots = self._assigned(samples, fresh)
        _bound(slots, fresh)
        self._slots = slots
        rows: dict[tuple[int, int], tuple[list[Labels], list[float]]]
        rows = defaultdict(lambda: ([], []))
        for labels, value, at_ms in fresh:
            self._last[labels] = (at_ms, value)
            row = rows[at_ms, slots[labels]]
            row[0].append(labels)
            row[1].append(value)
        self._last = {
            labels: at for labels, at in self._last.items() if labels in slots
        }
        return StampedRows(
            [
                StampedRow(f";timestamps {slot}", at_ms, *rows[at_ms, slot])
                for at_ms, slot in sorted(rows)
            ],
            refused,
        )

    def _assigned(
        self,
        samples: Sequence[tuple[Labels, float, int]],
        fresh: Sequence[tuple[Labels, float, int]],
    ) -> dict[Labels, int]:
        """Return the slot of each series that is still exposed."""
        known = self._slots
        slots = {labels: known[labels] for labels, _, _ in samples if labels in known}
        new = sorted({at_ms for labels, _, at_ms in fresh if labels not in slots})
        order = {at_ms: index % _SLOTS for index, at_ms in enumerate(new)}
        for labels, _, at_ms in fresh:
            slots.setdefault(labels, order.get(at_ms, 0))
        return slots


def _same(last: tuple[int, float] | None, at_ms: int, value: float) -> bool:
    if last is None or last[0] != at_ms:
        return False
    # NaN is the same as itself here.
    return last[1] == value or (last[1] != last[1] and value != value)  # noqa: PLR0124


def _bound(
    slots: Mapping[Labels, int], samples: Sequence[tuple[Labels, float, int]]
) -> None:
    series: dict[int, set[Labels]] = defaultdict(set)
    times: dict[int, set[int]] = defaultdict(set)
    for labels, _, at_ms in samples:
        series[slots[labels]].add(labels)
        times[slots[labels]].add(at_ms)
    cells = sum(len(series[slot]) * len(times[slot]) for slot in series)
    if cells > _MOST_CELLS:
        raise FormatError(
            f"{len(samples)} samples with too many different timestamps of their own; "
            "set honor_timestamps: false for the job in prometheus.yml"
        )
