"""The machine's clock, and what to correct when it was set."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LOG = logging.getLogger(__name__)
LEAST_SECONDS = 30.0
"""Less than this is slewed or borne: a scrape or two are refused."""

MARGIN_SECONDS = 900.0
"""How much of the past goes too when the clock is set back, at most as far as it was.

There the samples of an hour ago would lie beside the next ones, and a window that holds
both would count the hour between as its own minutes.
"""


def steady() -> float:
    """Return seconds that only grow, a suspended machine's too where that is known."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Clock:
    """Tells the time, and first tells who cares when it was set.

    Args:
        wall: Epoch seconds.
        since: Seconds that only grow.
        moved: Called with the seconds by which the clock was set, later ones positive.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        since: Callable[[], float] = steady,
        *,
        moved: Sequence[Callable[[float], None]] = (),
    ) -> None:
        self._wall = wall
        self._since = since
        self._offset = wall() - since()
        self._lock = threading.Lock()
        self._moved = tuple(moved)

    def now(self) -> float:
        """Return epoch seconds."""
        with self._lock:
            wall = self._wall()
            offset = wall - self._since()
            jump, self._offset = offset - self._offset, offset
            if abs(jump) < LEAST_SECONDS:
                return wall
            _LOG.warning("the clock was set by %+.0f s", jump)
            for hear in self._moved:
                hear(jump)
        return wall


def forgotten_ms(back_ms: float) -> int:
    """Return how much of the past goes when the clock is set back by so much."""
    return round(min(back_ms, MARGIN_SECONDS * 1000))
