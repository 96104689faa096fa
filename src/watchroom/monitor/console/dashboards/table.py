"""A chart as a table of values, for browsers whose scripts are off."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.monitor.console.dashboards.charting import shown_limit
from watchroom.monitor.console.values import digits, scale_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.formats.grafana import Panel
    from watchroom.monitor.console.dashboards.charting import Drawing
    from watchroom.monitor.console.dashboards.ranges import TimeRange

POINTS = 10
"""Columns at most: what a page is wide."""


class TableRow(NamedTuple):
    """One line of a chart: its values in words, "–" where a value is missing.

    The newest come first: a phone shows only some without scrolling.
    """

    name: str
    values: Sequence[str]
    highest: str


class PanelTable(NamedTuple):
    """A panel's values.

    Attributes:
        word: The unit of all of them.
        times_ms: Of the columns, the newest first.
        rows: In the chart's order.
        note: Text beside the values, or in place of them.
        numbers: Of a panel of numbers, with their units.
    """

    word: str = ""
    times_ms: Sequence[int] = ()
    rows: Sequence[TableRow] = ()
    note: str = ""
    numbers: Sequence[str] = ()


def table(panel: Panel, drawing: Drawing, span: TimeRange) -> PanelTable:
    """Return the values of a chart, all in one unit so that they can be compared."""
    known = [v for line in drawing.lines for v in line.values if v is not None]
    if not known:
        return PanelTable(note="No data in this time range.")
    limit = shown_limit(panel).value
    unit = panel.fieldConfig.defaults.unit
    divisor, word = scale_of(max(map(abs, known)) or limit or 0.0, unit)

    def words(value: float | None) -> str:
        return "–" if value is None else digits(value / divisor)

    rows = [
        TableRow(
            line.name,
            [words(value) for value in reversed(line.values)],
            words(max((v for v in line.values if v is not None), default=None)),
        )
        for line in drawing.lines
    ]
    times = range(span.end_ms, span.start_ms - 1, -span.step_ms)
    left = drawing.total - len(drawing.lines)
    more = f"{drawing.total} series: the {len(rows)} largest are shown." if left else ""
    return PanelTable(word, list(times), rows, more)


def numbers(body: dict[str, object]) -> PanelTable:
    """Return a panel of numbers, from what the page's script would be sent."""
    rows = body["numbers"]
    if not isinstance(rows, list) or not rows:
        none = body["none"]
        return PanelTable(note=f"No value: {none}." if none else "No data now.")
    many = len(rows) > 1
    return PanelTable(
        numbers=[
            " ".join(
                part
                for part in (
                    row["number"],
                    row["unit"],
                    row["name"] if many else "",
                    "▲ past its limit" if row["state"] == "over" else "",
                )
                if part
            )
            for row in rows
        ]
    )
