"""Lengths of time as people say them: 3 d 4 h, 6 min, 12 s ago."""

from __future__ import annotations


def span(seconds: float) -> str:
    """Return a length of time in its largest two units: 3 d 4 h, 6 min, 12 s."""
    left = max(0, round(seconds))
    if left < 60:
        return f"{left} s"
    if left < 600:
        minutes, rest = divmod(left, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    if left < 3600:
        return f"{left // 60} min"
    hours, rest = divmod(left, 3600)
    if hours < 24:
        return f"{hours} h {rest // 60} min" if rest >= 60 else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def counted(number: float, one: str, many: str = "") -> str:
    """Return how many there are of something: 1 run, 2 runs, 1,204 runs.

    What is counted is whole: an estimate such as ``increase()`` is rounded.
    """
    whole = round(number)
    return f"{whole:,} {one if whole == 1 else many or f'{one}s'}"


def ago(seconds: float) -> str:
    """Return how long ago something was."""
    return "now" if seconds < 0.5 else f"{span(seconds)} ago"
