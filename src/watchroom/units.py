"""Durations, sizes and shares as people write them: "5m", "20MiB", "80%"."""

from __future__ import annotations

import re

from watchroom.errors import ConfigError

_SECONDS = {
    "ms": 0.001,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31536000.0,
}
_BYTES = {
    "B": 1,
    "kB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
# Prometheus' own grammar: units in falling order, each at most once.
_DURATION = (
    r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?"
)
_LONGEST = (2**63 - 1) / 10**9
"""Prometheus counts durations in nanoseconds of 63 bits."""
_LONGEST_TEXT = 100
_UNITS = ("y", "w", "d", "h", "m", "s", "ms")


def parse_duration(text: str) -> float:
    """Return the seconds in a Prometheus duration such as ``"1h30m"`` or ``"0s"``.

    Raises:
        ConfigError: `text` is not a duration.
    """
    match = re.fullmatch(_DURATION, text, re.ASCII)
    if text == "0":
        return 0.0
    if not text or match is None or len(text) > _LONGEST_TEXT:
        raise ConfigError(
            f"{text[:40]!r} is not a duration", hint="write it as 30s, 5m or 1h30m"
        )
    seconds = sum(
        int(count) * _SECONDS[unit]
        for count, unit in zip(match.groups(), _UNITS, strict=True)
        if count
    )
    if seconds > _LONGEST:
        raise ConfigError(f"{text!r} is longer than 292 years")
    return seconds


def format_duration(seconds: float) -> str:
    """Return the shortest Prometheus duration: 300 → "5m", 90 → "1m30s"."""
    left = round(seconds * 1000)
    if left == 0:
        return "0s"
    text = ""
    for unit in _UNITS:
        if unit in {"y", "w"} and left % round(_SECONDS[unit] * 1000):
            continue  # 10d, not 1w3d
        count, left = divmod(left, round(_SECONDS[unit] * 1000))
        if count:
            text += f"{count}{unit}"
    return text


def parse_size(text: str) -> int:
    """Return the bytes in ``"2GiB"`` or ``"500MB"``.

    Raises:
        ConfigError: `text` is not a size.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kKMGT]i?B|B)", text)
    if match is None or match[2] not in _BYTES:
        raise ConfigError(f"{text!r} is not a size", hint="write it as 512MiB or 2GiB")
    return round(float(match[1]) * _BYTES[match[2]])


def parse_limit(value: str | float) -> float:
    """Return a vital's limit in its base unit: seconds, bytes, a share of 1, a count.

    Raises:
        ConfigError: `value` is none of these.
    """
    if isinstance(value, bool):
        raise ConfigError(f"{value!r} is not a limit", hint="write 5, '2s' or '80%'")
    if isinstance(value, int | float):
        return float(value)
    text = value.strip()
    if text.endswith("%"):
        try:
            return float(text[:-1]) / 100
        except ValueError:
            pass
    for parse in (float, parse_duration, parse_size):
        try:
            return float(parse(text))
        except (ValueError, ConfigError):
            continue
    raise ConfigError(
        f"{value!r} is not a limit", hint="write 5, '2s', '80%' or '512MiB'"
    )


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


def counted(number: float, singular: str, many: str = "") -> str:
    """Return how many there are of something: 1 run, 2 runs, 1,204 runs.

    What is counted is whole: an estimate such as ``increase()`` is rounded.
    """
    whole = round(number)
    return f"{whole:,} {singular if whole == 1 else many or f'{singular}s'}"


def ago(seconds: float) -> str:
    """Return how long ago something was."""
    return "now" if seconds < 0.5 else f"{span(seconds)} ago"
