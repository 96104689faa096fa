"""A panel's data for its chart: aligned, named, bounded."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from watchroom.formats.grafana import limit_of
from watchroom.monitor.console.values import scale_of
from watchroom.promql.model import Scalar, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.formats.grafana import Limit, Panel
    from watchroom.monitor.console.dashboards.ranges import TimeRange
    from watchroom.promql.engine import Engine
    from watchroom.promql.model import Labels, Queryable

MOST_SERIES = 24
_PLACE = re.compile(r"{{\s*([A-Za-z_][\w.]*)\s*}}")


class PanelQuery(NamedTuple):
    """A query of a panel with its variables filled in."""

    ref: str
    expr: str
    legend: str


class ChartLine(NamedTuple):
    """One series: its name and its values, None where a value is missing."""

    name: str
    values: Sequence[float | None]


class Drawing(NamedTuple):
    """What a chart shows.

    Attributes:
        lines: The `MOST_SERIES` largest.
        total: How many series there were.
    """

    lines: Sequence[ChartLine]
    total: int


class Now(NamedTuple):
    """What a panel with one number shows: its samples, worst first."""

    samples: Sequence[tuple[str, float]]
    total: int


def draw(
    engine: Engine, queryable: Queryable, queries: Sequence[PanelQuery], span: TimeRange
) -> Drawing:
    """Return the lines of a panel's queries.

    Raises:
        QueryError: One cannot be answered.
    """
    count = (span.end_ms - span.start_ms) // span.step_ms + 1
    drawn: list[ChartLine] = []
    for query in queries:
        matrix = engine.range(
            queryable, query.expr, span.start_ms, span.end_ms, span.step_ms
        )
        for labels, times, values in matrix.series:
            cells: list[float | None] = [None] * count
            for at, value in zip(times.tolist(), values.tolist(), strict=True):
                index = (at - span.start_ms) // span.step_ms
                if math.isfinite(value) and 0 <= index < count:
                    cells[index] = float(f"{value:.6g}")
            drawn.append(ChartLine(name_of(query, labels), cells))
    # Lines of one query are sorted, the largest first; those of several queries keep
    # the panel's order.
    largest = sorted(drawn, key=lambda line: (-_height(line), line.name))
    if len(queries) == 1:
        return Drawing(largest[:MOST_SERIES], len(drawn))
    shown = {id(line) for line in largest[:MOST_SERIES]}
    return Drawing([line for line in drawn if id(line) in shown], len(drawn))


def now(
    engine: Engine, queryable: Queryable, queries: Sequence[PanelQuery], at_ms: int
) -> Now:
    """Return the samples of a panel's queries at one time, the largest first.

    Raises:
        QueryError: One cannot be answered.
    """
    named: list[tuple[str, float]] = []
    for query in queries:
        match engine.instant(queryable, query.expr, at_ms):
            case Scalar(value):
                named.append((name_of(query, ()), value))
            case Vector(samples):
                named += [(name_of(query, labels), value) for labels, value in samples]
    real = [(name, value) for name, value in named if math.isfinite(value)]
    real.sort(key=lambda sample: -sample[1])
    return Now(real[:MOST_SERIES], len(real))


def _height(line: ChartLine) -> float:
    return max((abs(v) for v in line.values if v is not None), default=0.0)


def name_of(query: PanelQuery, labels: Labels) -> str:
    """Return a series' name: its legend filled in, else its labels."""
    plain = dict(labels)
    if query.legend and query.legend != "__auto":
        return _PLACE.sub(lambda m: plain.get(m[1], ""), query.legend).strip() or "–"
    name = plain.pop("__name__", "")
    inner = ", ".join(f"{label}={value}" for label, value in plain.items())
    return f"{name}{{{inner}}}" if name and inner else name or inner or query.ref


def shown_limit(panel: Panel) -> Limit:
    """Return a panel's limit; without a value if its chart doesn't draw it."""
    limit = limit_of(panel)
    style = panel.fieldConfig.defaults.custom.get("thresholdsStyle", {})
    if panel.type == "timeseries" and style.get("mode", "off") == "off":
        return limit._replace(value=None)
    return limit


def body(panel: Panel, drawing: Drawing, span: TimeRange) -> dict[str, object]:
    """Return what the page's script is sent."""
    unit = panel.fieldConfig.defaults.unit
    limit = shown_limit(panel)
    heights = [_height(line) for line in drawing.lines]
    top = max(heights, default=0.0)
    divisor, word = scale_of(top or (limit.value or 0.0), unit)
    stacking = panel.fieldConfig.defaults.custom.get("stacking", {})
    return {
        "start": span.start_ms // 1000,
        "step": span.step_ms // 1000,
        "count": (span.end_ms - span.start_ms) // span.step_ms + 1,
        "lines": [{"name": line.name, "values": line.values} for line in drawing.lines],
        "total": drawing.total,
        "divisor": divisor,
        "word": word,
        "limit": limit.value,
        "above": limit.above,
        "stacked": stacking.get("mode", "none") not in {"none", ""},
        "floor": panel.fieldConfig.defaults.min,
    }
