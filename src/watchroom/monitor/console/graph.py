"""The current result of an expression: the page of alerts' generatorURL.

Prometheus' own path and parameters, so that links made by alerts, by templates'
``graphLink`` and by Prometheus itself lead somewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import WatchroomError
from watchroom.monitor.console.render import Page
from watchroom.monitor.console.values import digits
from watchroom.promql.model import Scalar, String, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from watchroom.promql.engine import Engine
    from watchroom.promql.model import Queryable, Value

_SECONDS = 10.0
_MOST_ROWS = 200
_LONGEST = 64 * 1024


class GraphRow(NamedTuple):
    """One sample: its labels, and its value in words."""

    labels: Sequence[tuple[str, str]]
    value: str


class GraphPage(Page):
    """Handler of /graph."""

    def routes(self, app: web.Application) -> None:
        """Add the handler to `app`."""
        app.router.add_get("/graph", self.graph)

    async def graph(self, request: web.Request) -> web.Response:
        """Answer with an expression's current samples, and the rules that use it."""
        services = self._services
        expr = request.query.get("g0.expr", "").strip()
        at_ms = round(services.now() * 1000)
        rows: list[GraphRow] = []
        problem, status = "", 200

        def work(engine: Engine, queryable: Queryable) -> Value:
            return engine.instant(queryable, expr, at_ms)

        if len(expr) > _LONGEST:
            problem, status, expr = "the expression is longer than 64 KiB", 400, ""
        elif expr:
            try:
                rows = rows_of(await services.queries.run(work, _SECONDS))
            except WatchroomError as error:
                problem, status = str(error), 400
        return self._renderer.page(
            request,
            "graph.html",
            status=status,
            expr=expr,
            rows=rows[:_MOST_ROWS],
            total=len(rows),
            rules=sorted(
                {
                    rule.name
                    for group in services.rules.loaded.views()
                    for rule in group.rules
                    if rule.type == "alerting" and rule.query == expr
                }
            ),
            problem=problem,
            at_ms=at_ms,
        )


def rows_of(result: Value) -> list[GraphRow]:
    """Return a result as rows, the largest value first."""
    match result:
        case Vector(samples):
            ranked = sorted(samples, key=lambda sample: (-sample[1], sample[0]))
            return [GraphRow(labels, digits(value)) for labels, value in ranked]
        case Scalar(value):
            return [GraphRow((), digits(value))]
        case String(text):
            return [GraphRow((), text)]
    return [
        GraphRow(labels, f"{len(times)} samples") for labels, times, _ in result.series
    ]
