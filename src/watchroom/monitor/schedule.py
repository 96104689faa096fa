"""When something that recurs is due next."""

from __future__ import annotations

import hashlib


class Schedule:
    """When in each interval targets are scraped and rules evaluated.

    Few targets are scraped close together at the interval's start and rules follow
    right after, so that a change waits for one interval, not two; many are spread
    over up to four fifths of it, so that no moment carries all the work.
    """

    def __init__(self) -> None:
        self._room = 8

    def resize(self, targets: int) -> None:
        """Say how many targets there are; in powers of two, so offsets rarely move."""
        self._room = max(8, 1 << max(0, targets - 1).bit_length())

    def spread(self, interval: float) -> float:
        """Return the seconds over which scrapes are spread."""
        return min(0.8 * interval, 0.02 * self._room)

    def offset(self, key: str, interval: float) -> float:
        """Return the seconds into the interval at which `key` is scraped."""
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64 * self.spread(interval)

    def evaluation_offset(self, interval: float) -> float:
        """Return the seconds into the interval at which rules are evaluated."""
        return self.spread(interval) + min(0.1 * interval, 0.15)


def next_due(now: float, due: float, interval: float, offset: float) -> float:
    """Return the first instant that is `offset` into an interval, after `due` and now.

    A sleep may end a moment too early, which must not give `due` again. When `due` is
    further off than that, the clock was set back: waiting for it to catch up would be
    as long without a look.
    """
    start = now if due - now > interval else max(now, due)
    return ((start - offset) // interval + 1) * interval + offset
