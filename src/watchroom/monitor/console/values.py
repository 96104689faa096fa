"""Numbers and times in words: 340 ms, 58 % of 512 MiB, 3 d 4 h."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import NamedTuple

_THIN = "\u202f"  # narrow no-break space, between thousands
_SCALES = {
    "s": (
        (86400.0, "days", 2 * 86400.0),
        (3600.0, "h", 2 * 3600.0),
        (60.0, "min", 120.0),
        (1.0, "s", 1.0),
        (1e-3, "ms", 1e-3),
        (1e-6, "µs", 0.0),
    ),
    "bytes": (
        (2.0**40, "TiB", 2.0**40),
        (2.0**30, "GiB", 2.0**30),
        (2.0**20, "MiB", 2.0**20),
        (2.0**10, "KiB", 2.0**10),
        (1.0, "B", 0.0),
    ),
    "decbytes": (
        (1e12, "TB", 1e12),
        (1e9, "GB", 1e9),
        (1e6, "MB", 1e6),
        (1e3, "kB", 1e3),
        (1.0, "B", 0.0),
    ),
    "%": ((1.0, "%", 0.0),),
    "count": ((1e9, "bn", 1e9), (1e6, "M", 1e6), (1e3, "k", 1e4), (1.0, "", 0.0)),
}
# Grafana's unit: (our scale, factor to the scale's base, word after it)
_UNITS = {
    "s": ("s", 1.0, ""),
    "dtdurations": ("s", 1.0, ""),
    "ms": ("s", 1e-3, ""),
    "µs": ("s", 1e-6, ""),
    "bytes": ("bytes", 1.0, ""),
    "decbytes": ("decbytes", 1.0, ""),
    "Bps": ("decbytes", 1.0, "/s"),
    "binBps": ("bytes", 1.0, "/s"),
    "percent": ("%", 1.0, ""),
    "percentunit": ("%", 100.0, ""),
    "reqps": ("count", 1.0, "requests/s"),
    "ops": ("count", 1.0, "/s"),
    "cps": ("count", 1.0, "/s"),
    "short": ("count", 1.0, ""),
    "none": ("count", 1.0, ""),
    "": ("count", 1.0, ""),
}
BOOLS = {"bool", "bool_yes_no", "bool_on_off"}
"""Units of values that are yes or no."""
COUNTS = {"short", "none", ""}
"""Units of numbers of things."""


class Quantity(NamedTuple):
    """A value in words: the number, and the unit that follows it."""

    number: str
    unit: str

    def __str__(self) -> str:
        gap = "" if self.unit == "%" else " "
        return f"{self.number}{gap}{self.unit}".strip()


def digits(value: float) -> str:
    """Return `value` with three significant digits and no exponent."""
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    if size >= 100:
        text = f"{size:,.0f}".replace(",", _THIN)
    elif size == 0:
        text = "0"
    else:
        places = 2 - math.floor(math.log10(size))
        text = f"{size:.{min(places, 12)}f}"
        if "." in text:
            text = text.rstrip("0").rstrip(".")
    return f"−{text}" if value < 0 and text != "0" else text


def quantity(value: float, unit: str, *, whole: bool = False) -> Quantity:
    """Return `value`, measured in Grafana's `unit`, scaled for people.

    Args:
        value: The value.
        unit: Grafana's name of its unit.
        whole: It is a count. ``increase()`` extrapolates, so 1.07 is shown as 1;
            anything above zero is at least 1.
    """
    if whole and unit in COUNTS and math.isfinite(value):
        value = float(math.copysign(max(1, round(abs(value))), value)) if value else 0.0
    if unit in BOOLS:
        return Quantity("yes" if value else "no", "")
    divisor, word = scale_of(value, unit)
    return Quantity(digits(value / divisor), word)


def limit_words(limit: float | None, unit: str, *, above_is_bad: bool) -> str:
    """Return the limit in words."""
    if limit is None:
        return "no limit"
    if unit in BOOLS:
        return "must be no" if above_is_bad else "must be yes"
    if above_is_bad:
        if limit <= 0 or (unit in COUNTS and limit < 1):
            return "none allowed"
        return f"limit {quantity(limit, unit)}"
    return f"at least {quantity(limit, unit)}"


def clock(at_ms: int) -> str:
    """Return an instant as this machine's wall clock shows it, with an earlier day."""
    at = datetime.fromtimestamp(at_ms / 1000).astimezone()
    today = at.date() == datetime.now().astimezone().date()
    return at.strftime("%H:%M:%S" if today else "%d %b %H:%M:%S")


def day(at_ms: int) -> str:
    """Return an instant as this machine's wall clock and calendar show it."""
    return datetime.fromtimestamp(at_ms / 1000).astimezone().strftime("%d %b %H:%M")


def iso(at_ms: int) -> str:
    """Return an instant as ISO 8601 in UTC, for machines and the script."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")


def reach_url(text: str) -> str:
    """Return the address that a tap on a number or a mail address opens, or ""."""
    text = text.strip()
    if re.fullmatch(r"\+?[0-9][0-9 ()/.-]{4,30}", text):
        return "tel:" + re.sub(r"[^+0-9]", "", text)
    if re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", text, re.ASCII):
        return f"mailto:{text}"
    return text if text.startswith("https://") and " " not in text else ""


def scale_of(top: float, unit: str) -> tuple[float, str]:
    """Return the divisor and the word for values of `unit` up to `top`.

    One scale for a whole chart, so that its numbers can be compared.
    """
    if unit in BOOLS:
        return 1.0, ""
    if unit not in _UNITS:
        return 1.0, "days" if unit == "d" else unit.removeprefix("suffix:").strip()
    scale, factor, after = _UNITS[unit]
    base = abs(top) * factor
    size, name = _SCALES[scale][-1][:2]
    for each, word, start in _SCALES[scale]:
        # 999.6 ms would print as "1 000 ms": it belongs to the next unit.
        if base and base * 1.0005 >= start:
            size, name = each, word
            break
    if not base and scale == "s":
        size, name = 1e-3, "ms"
    joined = f"{name}{after}" if after.startswith("/") else f"{name} {after}".strip()
    return size / factor, joined
