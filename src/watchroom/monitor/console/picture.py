"""A chart as an SVG picture, for browsers whose scripts are off.

Its colours are attributes, of middle lightness, because a picture sees neither the
page's style nor its theme.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import escape

from watchroom.monitor.console.charting import limit_of
from watchroom.monitor.console.values import digits, scale_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.formats.grafana import Panel
    from watchroom.monitor.console.charting import Drawing, Line
    from watchroom.monitor.console.ranges import Range

_WIDTH, _HEIGHT = 640, 200
_LEFT, _TOP, _RIGHT, _BOTTOM = 64, 10, 8, 24
_ROW = 18
_MOST_NAMED = 8
_COLOURS = ("#2a8a91", "#5f7fce", "#9a72c4", "#8e8a3a", "#bb66a5", "#758894")
_DASHES = ("", "6 4", "2 3", "8 3 2 3")
_INK = "#7b8086"


class _Frame(NamedTuple):
    """Where values stand in the picture."""

    low: float
    high: float
    points: int

    def x(self, index: int) -> float:
        wide = _WIDTH - _LEFT - _RIGHT
        return _LEFT + wide * index / max(1, self.points - 1)

    def y(self, value: float) -> float:
        tall = _HEIGHT - _TOP - _BOTTOM
        share = (value - self.low) / (self.high - self.low)
        return _TOP + tall * (1 - share)


def picture(panel: Panel, drawing: Drawing, span: Range) -> str:
    """Return the SVG of a panel's lines, with axes, limit and names."""
    known = [v for line in drawing.lines for v in line.values if v is not None]
    unit = panel.fieldConfig.defaults.unit
    limit, _ = limit_of(panel)
    divisor, word = scale_of(max(map(abs, known), default=limit or 0.0), unit)
    named = drawing.lines[:_MOST_NAMED]
    height = _HEIGHT + _ROW * len(named) + 6
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
            f'width="{_WIDTH}" height="{height}" font-family="system-ui, sans-serif" '
            f'font-size="12" fill="{_INK}">'
        ),
        f"<title>{escape(_plain(panel.title))}</title>",
    ]
    if not known:
        parts.append(f'<text x="{_LEFT}" y="60">No data in this time.</text></svg>')
        return "".join(parts)
    bounds = [
        *known,
        *([limit] if limit is not None and limit < max(known) * 5 else []),
    ]
    low = min(0.0, *bounds)
    high = max(bounds) + ((max(bounds) - low) * 0.08 or 1.0)
    frame = _Frame(low, high, (span.end_ms - span.start_ms) // span.step_ms + 1)
    parts += _axes(frame, span, divisor, word)
    if limit is not None and limit <= high:
        y = f"{frame.y(limit):.1f}"
        parts.append(
            f'<path d="M{_LEFT} {y}H{_WIDTH - _RIGHT}" stroke="{_INK}" '
            'stroke-dasharray="4 4"/>'
        )
    for at, line in enumerate(drawing.lines):
        parts.append(
            f'<path d="{_path(line, frame)}" fill="none" stroke-width="1.6" '
            f"{_stroke(at)}/>"
        )
    parts += [_name(at, line, divisor, word) for at, line in enumerate(named)]
    return "".join([*parts, "</svg>"])


def _axes(frame: _Frame, span: Range, divisor: float, word: str) -> Sequence[str]:
    found = []
    for part in range(4):
        value = frame.low + (frame.high - frame.low) * part / 4
        y = f"{frame.y(value):.1f}"
        found.append(
            f'<path d="M{_LEFT} {y}H{_WIDTH - _RIGHT}" stroke="{_INK}" opacity=".3"/>'
            f'<text x="{_LEFT - 8}" y="{y}" text-anchor="end" dy="4">'
            f"{digits(float(f'{value / divisor:.2g}'))} {escape(word[:4])}</text>"
        )
    pattern = "%d.%m. %H:%M" if span.end_ms - span.start_ms > 86_400_000 else "%H:%M"
    for part in range(5):
        at_ms = span.start_ms + (span.end_ms - span.start_ms) * part / 4
        moment = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone()
        x = frame.x(0) + (frame.x(frame.points - 1) - frame.x(0)) * part / 4
        anchor = "start" if part == 0 else "end" if part == 4 else "middle"
        found.append(
            f'<text x="{x:.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">'
            f"{moment.strftime(pattern)}</text>"
        )
    return found


def _path(line: Line, frame: _Frame) -> str:
    found, pen = [], "M"
    for index, value in enumerate(line.values):
        if value is None:
            pen = "M"
            continue
        found.append(f"{pen}{frame.x(index):.1f} {frame.y(value):.1f}")
        pen = "L"
    return "".join(found)


def _stroke(at: int) -> str:
    dash = _DASHES[at // len(_COLOURS) % len(_DASHES)]
    return (
        f'stroke="{_COLOURS[at % len(_COLOURS)]}" stroke-dasharray="{dash or "none"}"'
    )


def _name(at: int, line: Line, divisor: float, word: str) -> str:
    y = _HEIGHT + _ROW * (at + 1) - 4
    last = next((v for v in reversed(line.values) if v is not None), None)
    said = "no data" if last is None else f"{digits(last / divisor)} {word}"
    text = escape(f"{_plain(line.name)}: {said}")
    return (
        f'<path d="M{_LEFT} {y - 4}h18" stroke-width="3" {_stroke(at)}/>'
        f'<text x="{_LEFT + 26}" y="{y}">{text}</text>'
    )


def _plain(text: str) -> str:
    """Return a text without control characters: XML has none, a label's value may."""
    return "".join(each if each.isprintable() else " " for each in text)
