"""Tiles and charts of a vital with their templates filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from watchroom.catalogue import parameters
from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from watchroom.catalogue.model import Chart, Otherwise, Vital

# In place of Grafana's range while an expression is parsed.
_RANGE = "7777777s"


class PlannedPanel(NamedTuple):
    """A panel with its templates filled in."""

    id: int
    expr: str
    presence: str
    otherwise: Otherwise | None
    unit: str
    bad: str
    limit: float
    decimals: int | None


class PlannedChart(NamedTuple):
    """A chart with its templates filled in: queries as (expression, legend)."""

    chart: Chart
    queries: tuple[tuple[str, str], ...]
    limit: float | None


def panel(
    vital: Vital,
    at: int,
    values: Mapping[str, str],
    query: Callable[[str, str], str],
    whole: Callable[[str, str], str],
) -> PlannedPanel | None:
    """Return the tile of a vital, the `at`-th, or None when it has none.

    Raises:
        ConfigError: A template or an expression is wrong; it names the vital.
    """
    tile = vital.panel
    if tile is None:
        return None
    where = f"vital {vital.name}, panel"
    number = _number(parameters.fill(tile.limit, values, where), where)
    return PlannedPanel(
        id=at,
        expr=query(parameters.fill(tile.expr, values, where), where),
        presence=whole(parameters.fill(tile.presence, values, where), where),
        otherwise=None
        if tile.otherwise is None
        else replace(
            tile.otherwise,
            expr=query(parameters.fill(tile.otherwise.expr, values, where), where),
        ),
        unit=tile.unit,
        bad=tile.bad,
        limit=number,
        decimals=tile.decimals,
    )


def chart(
    vital: Vital,
    drawn: Chart,
    values: Mapping[str, str],
    query: Callable[[str, str], str],
) -> PlannedChart:
    """Return a chart of a vital.

    Raises:
        ConfigError: A template or an expression is wrong; it names vital and chart.
    """
    where = f"vital {vital.name}, chart {drawn.title}"

    def filled(expr: str) -> str:
        # Grafana fills the range in; until then a real one stands for it.
        real = parameters.fill(expr, {**values, "rate_interval": _RANGE}, where)
        return query(real, where).replace(
            f"[{_RANGE}]", f"[{parameters.RATE_INTERVAL}]"
        )

    limit = parameters.fill(drawn.limit, values, where)
    return PlannedChart(
        replace(
            drawn,
            title=parameters.fill(drawn.title, values, where),
            description=parameters.fill(drawn.description, values, where),
        ),
        tuple(
            (filled(query.expr), parameters.fill(query.legend, values, where))
            for query in drawn.queries
        ),
        _number(limit, where) if limit else None,
    )


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"{where}: the limit {text!r} isn't a number") from None
