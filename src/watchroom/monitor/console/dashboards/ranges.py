"""The time range of charts, from the URL: Grafana's ``from`` and ``to``."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import WatchroomError

if TYPE_CHECKING:
    from collections.abc import Mapping

PRESETS = {
    "15m": 900,
    "1h": 3600,
    "6h": 6 * 3600,
    "24h": 86400,
    "7d": 7 * 86400,
    "30d": 30 * 86400,
}
POINTS = 300
_LONGEST = 400 * 86400
_GRID_MS = 60_000
_STEPS = (
    *(1, 2, 5, 10, 15, 20, 30, 60, 90, 120, 180, 300, 600, 900, 1200, 1800),
    *(2400, 3600, 5400, 7200, 10800, 14400, 21600, 43200, 86400, 172800),
)
_BACK = re.compile(r"now(?:-(\d{1,6})([smhdw]))?")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


class RangeError(WatchroomError):
    """The URL's time range is invalid."""


class TimeRange(NamedTuple):
    """What a chart shows.

    Attributes:
        start_ms, end_ms: As many steps apart as there are points.
        step_ms: Between two points.
        scrape_ms: Between two samples.
        from_text, to_text: As the URL says it.
        live: Whether it ends now.
    """

    start_ms: int
    end_ms: int
    step_ms: int
    scrape_ms: int
    from_text: str
    to_text: str
    live: bool

    @property
    def preset(self) -> str:
        """The name of the preset that this is, or ""."""
        name = self.from_text.removeprefix("now-")
        return name if self.live and name in PRESETS else ""

    @property
    def rate_ms(self) -> int:
        """Grafana's ``$__rate_interval``: the step and a sample, or four samples."""
        return max(self.step_ms + self.scrape_ms, 4 * self.scrape_ms)


def parse(
    query: Mapping[str, str],
    now: float,
    scrape_seconds: float,
    points: int = POINTS,
    default: str = "now-1h",
) -> TimeRange:
    """Return the range of a URL's query.

    Args:
        query: With ``from`` and ``to``, or without.
        now: Epoch seconds.
        scrape_seconds: Between two samples; no step is shorter.
        points: The most points.
        default: The start without one in the query.

    Raises:
        RangeError: A time is invalid, or they are in the wrong order.
    """
    from_text = query.get("from", "") or default
    to_text = query.get("to", "") or "now"
    start, end = _instant(from_text, now), min(_instant(to_text, now), now)
    if end <= start:
        raise RangeError("the range must end after it starts, and not in the future")
    if end - start > _LONGEST:
        raise RangeError("the range is longer than 400 days")
    points = max(10, min(points, POINTS))
    least = max((end - start) / points, scrape_seconds)
    step = next((s for s in _STEPS if s >= least), math.ceil(least / 86400) * 86400)
    step_ms = step * 1000
    # On a grid, so that refreshing moves no point; a coarse one would hide the newest.
    grid_ms = min(step_ms, _GRID_MS)
    end_ms = math.floor(end * 1000 / grid_ms) * grid_ms
    count = max(1, round((end - start) / step))
    return TimeRange(
        start_ms=end_ms - count * step_ms,
        end_ms=end_ms,
        step_ms=step_ms,
        scrape_ms=max(1, round(scrape_seconds * 1000)),
        from_text=from_text,
        to_text=to_text,
        live=to_text == "now",
    )


def _instant(text: str, now: float) -> float:
    """Return the epoch seconds of ``now-6h``, milliseconds, or a date and time."""
    back = _BACK.fullmatch(text)
    if back:
        return now - int(back[1] or 0) * _SECONDS[back[2] or "s"]
    if text.isascii() and text.isdigit() and len(text) <= 15:
        return int(text) / 1000
    try:
        moment = datetime.fromisoformat(text)
        # Without a zone it is this machine's; the page's script adds the reader's.
        return (moment if moment.tzinfo else moment.astimezone()).timestamp()
    except (ValueError, OverflowError, OSError):
        raise RangeError(
            f"{text[:40]!r} isn't a valid time. Use now-6h, 2026-03-01T14:00 or "
            "milliseconds"
        ) from None


def local(at_ms: int) -> str:
    """Return an instant as the value of a datetime-local input."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone()
    return moment.strftime("%Y-%m-%dT%H:%M")
