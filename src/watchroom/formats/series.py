"""promtool's series notation: ``name{labels} 0+5x10 _ 3`` is one sample per step.

A drill's fault and recovery are written in it, so that one text feeds the rule's unit
test (promtool), the exporter's drill endpoint and a
person's eye. Standard library only.

Source: prometheus.io, "Unit testing for rules", section "series". Native histograms
(``{{…}}``) are refused, and so is a series without a name before its braces.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import FormatError
from watchroom.formats import exposition

if TYPE_CHECKING:
    from collections.abc import Iterable

Labels = tuple[tuple[str, str], ...]

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
MAX_STEPS = 100_000

_DIGITS = r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_VALUE = re.compile(rf"([+-]?{_DIGITS})(?:([+-]{_DIGITS})?x([0-9]+))?")
_SPECIAL = re.compile(r"[+-]?inf|nan", re.IGNORECASE)
_BLANK = re.compile(r"_(?:x([0-9]+))?")
_HEAD = re.compile(
    r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*"
    r'(?:\{[^"{}]*(?:"[^"\\]*(?:\\.[^"\\]*)*"[^"{}]*)*\})?)(?=\s)'
)


class Line(NamedTuple):
    """One series and its samples.

    Attributes:
        labels: Sorted by name, ``__name__`` included.
        values: One per step: a float, None where there is no sample, :data:`STALE`
            (compare with :func:`is_stale`) where the series ends.
    """

    labels: Labels
    values: tuple[float | None, ...]


def is_stale(value: float | None) -> bool:
    """Return whether a value is the stale marker; other NaNs are ordinary values."""
    return value is not None and struct.pack("<d", value) == struct.pack("<d", STALE)


def parse(text: str) -> Line:
    """Read one line of the notation.

    ``ax3`` is a four times, ``a+bx3`` is a, a+b, a+2b, a+3b; ``_`` is a missing sample
    and ``_x3`` three of them; ``stale`` ends the series.

    Raises:
        FormatError: The line does not parse, or has more than MAX_STEPS steps.
    """
    head = _HEAD.match(text)
    if head is None:
        raise FormatError(f'no series in {text[:80]!r}: write name{{a="x"}} 0+1x10')
    labels = exposition.series(head[1])
    values: list[float | None] = []
    for item in text[head.end() :].split():
        _expand(item, values, text)
        if len(values) > MAX_STEPS:
            raise FormatError(f"{text[:80]!r} has more than {MAX_STEPS} steps")
    if not values:
        raise FormatError(f"{text[:80]!r} has no values: write 0+1x10 after it")
    return Line(labels, tuple(values))


def parse_all(lines: Iterable[str], *, most_steps: int = 1_000_000) -> list[Line]:
    """Read many lines; a series may appear only once.

    Args:
        lines: One series each.
        most_steps: How many samples they may unfold to, all together.

    Raises:
        FormatError: As :func:`parse`, a series appears twice, or there is too much.
    """
    lines_read: list[Line] = []
    seen = set()
    steps = 0
    for text in lines:
        line = parse(text)
        if line.labels in seen:
            raise FormatError(f"{text_of(line.labels)} is listed twice")
        steps += len(line.values)
        if steps > most_steps:
            raise FormatError(f"the series have more than {most_steps} steps together")
        seen.add(line.labels)
        lines_read.append(line)
    return lines_read


def text_of(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels as a series text: ``name{a="1"}``."""
    pairs = list(labels)
    name = "".join(value for key, value in pairs if key == "__name__")
    return name + exposition.label_text(p for p in pairs if p[0] != "__name__")


def _expand(item: str, values: list[float | None], text: str) -> None:
    if blank := _BLANK.fullmatch(item):
        values.extend([None] * _count(blank[1] or "1", item))
    elif item == "stale":
        values.append(STALE)
    elif _SPECIAL.fullmatch(item):
        values.append(float(item))
    elif value := _VALUE.fullmatch(item):
        start, step = float(value[1]), float(value[2] or 0)
        if value[3] is None:
            values.append(start)
        elif value[2] is None:
            values.extend([start] * (_count(value[3], item) + 1))
        else:
            # Added step by step, as promtool does: the same floats in both.
            for _ in range(_count(value[3], item) + 1):
                values.append(start)
                start += step
    else:
        raise FormatError(
            f"{item[:40]!r} in {text[:80]!r} isn't a value: write 3, 0+5x10, _ or stale"
        )


def _count(digits: str, item: str) -> int:
    if len(digits) > 6 or int(digits) > MAX_STEPS:
        raise FormatError(f"{item[:40]!r} has more than {MAX_STEPS} steps")
    return int(digits)
