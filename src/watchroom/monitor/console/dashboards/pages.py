"""The dashboards' handlers: which there are, one of them, the data of its panels."""

from __future__ import annotations

import asyncio
import contextlib
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from aiohttp import web
from multidict import MultiDict

from watchroom.errors import WatchroomError
from watchroom.monitor.console import runbooks
from watchroom.monitor.console.dashboards import annotations as marks
from watchroom.monitor.console.dashboards import charting, table, variables
from watchroom.monitor.console.dashboards.ranges import (
    POINTS,
    PRESETS,
    RangeError,
    local,
    parse,
)
from watchroom.monitor.console.render import Page
from watchroom.monitor.console.values import limit_words, quantity
from watchroom.monitor.queries import QueriesBusyError, QueryTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from multidict import MultiMapping

    from watchroom.formats.grafana import Panel
    from watchroom.formats.grafana_import import ImportedDashboard
    from watchroom.monitor.console.dashboards.annotations import Mark
    from watchroom.monitor.console.dashboards.ranges import TimeRange
    from watchroom.monitor.console.render import Renderer
    from watchroom.monitor.services import Services
    from watchroom.promql.engine import Engine
    from watchroom.promql.model import Queryable

_R = TypeVar("_R")
_SECONDS = 20.0
_MOST_WAITING = 80
_SCRIPT = "vendor/uPlot.iife.min.js"
_NUMBERS = {"stat", "gauge", "bargauge"}


class Cell(NamedTuple):
    """A panel as the page shows it before its data is there."""

    id: int
    kind: str
    title: str
    description: str
    width: int
    limit: str
    html: str
    refused: str
    runbook: str


class Dashboards(Page):
    """Handlers under /dashboards/."""

    def __init__(self, services: Services, renderer: Renderer) -> None:
        super().__init__(services, renderer)
        # One at a time, so that a slow chart leaves the other query thread to the
        # overview and to rules.
        self._turn = asyncio.Semaphore(1)
        self._waiting = 0
        folder = files("watchroom.monitor.console") / "static"
        self._has_script = (folder / _SCRIPT).is_file()

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        app.router.add_get("/dashboards/", self.index)
        app.router.add_get("/dashboards/{uid}", self.dashboard)
        app.router.add_get("/dashboards/{uid}/values", self.values)
        app.router.add_get("/dashboards/{uid}/panels/{id}", self.panel)
        app.router.add_get("/dashboards/{uid}/marks", self.marks)

    async def index(self, request: web.Request) -> web.Response:
        """List the dashboards, and the files that were refused."""
        config = self._services.config
        return self._renderer.page(
            request,
            "dashboards.html",
            dashboards=list(config.dashboards.values()),
            refused=config.refused_dashboards,
        )

    def _imported(self, request: web.Request) -> ImportedDashboard:
        imported = self._services.config.dashboards.get(request.match_info["uid"])
        if imported is None:
            raise web.HTTPNotFound(text="there is no such dashboard\n")
        return imported

    def _span(
        self,
        request: web.Request,
        imported: ImportedDashboard,
        query: Any,
        most: int = POINTS,
    ) -> TimeRange:
        points = request.query.get("points", "")
        return parse(
            query,
            self._services.now(),
            self._services.config.longest_interval,
            min(most, int(points) if points.isdigit() and len(points) < 5 else most),
            imported.dashboard.time.get("from", "") or "now-1h",
        )

    async def values(self, request: web.Request) -> web.Response:
        """Answer with a dashboard as tables of values, for browsers without scripts."""
        imported = self._imported(request)
        tables: dict[int, table.PanelTable] = {}
        happened: Sequence[Mark] = ()
        with contextlib.suppress(RangeError):  # the page says which
            tables = await self._tables(request, imported)
            with contextlib.suppress(WatchroomError):
                happened = await self._marks(request, imported)
        return await self.dashboard(request, tables, happened)

    async def _tables(
        self, request: web.Request, imported: ImportedDashboard
    ) -> dict[int, table.PanelTable]:
        """Return the values of every panel, as far as there is time for them."""
        span = self._span(request, imported, request.query, table.POINTS)
        end = self._services.now() + _SECONDS
        tables = {}
        for panel in imported.dashboard.panels:
            if panel.id in imported.refused or not panel.targets:
                continue
            if not 0 < end - self._services.now() <= _SECONDS:
                late = "Not loaded: reading took too long. Choose a shorter time range."
                tables[panel.id] = table.PanelTable(note=late)
                continue
            try:
                tables[panel.id] = await self._table(request, imported, panel, span)
            except WatchroomError as error:
                tables[panel.id] = table.PanelTable(note=_error_text(error))
        return tables

    async def _table(
        self,
        request: web.Request,
        imported: ImportedDashboard,
        panel: Panel,
        span: TimeRange,
    ) -> table.PanelTable:
        queries = _panel_queries(request, imported, panel, span)
        if panel.type in _NUMBERS:
            return table.numbers(await self._data(panel, queries, span))
        return await self._in_turn(
            lambda engine, queryable: table.table(
                panel, charting.draw(engine, queryable, queries, span), span
            )
        )

    async def dashboard(
        self,
        request: web.Request,
        tables: Mapping[int, table.PanelTable] | None = None,
        happened: Sequence[Mark] = (),
    ) -> web.Response:
        """Answer with a dashboard's frame; its script fetches the data of panels."""
        imported = self._imported(request)
        query: MultiMapping[str] = request.query
        problem, status = "", 200
        try:
            span = self._span(request, imported, query)
        except RangeError as error:
            problem, status, query = str(error), 400, MultiDict()
            span = self._span(request, imported, query)
        values = variables.chosen(imported.dashboard, query)

        def work(engine: Engine, queryable: Queryable) -> list[variables.Choice]:
            del engine
            return variables.choices(imported.dashboard, values, queryable, span)

        choices: Sequence[variables.Choice] = ()
        try:
            choices = await self._services.queries.run(work, _SECONDS)
        except WatchroomError as error:
            problem = problem or str(error)
        return self._renderer.page(
            request,
            "dashboard.html",
            status=status,
            board=imported.dashboard,
            cells=[cell(panel, imported) for panel in imported.dashboard.panels],
            span=span,
            presets=PRESETS,
            starts=local(span.start_ms),
            ends=local(span.end_ms),
            choices=choices,
            problem=problem,
            has_script=self._has_script,
            every=max(
                5,
                round(self._services.config.evaluation_seconds),
                min(60, span.step_ms // 1000),
            ),
            links=_preset_links(request),
            query=request.query_string,
            tables=tables,
            happened=happened,
        )

    async def panel(self, request: web.Request) -> web.Response:
        """Answer with the data of one panel."""
        imported, number = self._imported(request), request.match_info["id"]
        panel = next(
            (shown for shown in imported.dashboard.panels if str(shown.id) == number),
            None,
        )
        if panel is None or panel.id in imported.refused or not panel.targets:
            raise web.HTTPNotFound(text="there is no such panel\n")
        try:
            span = self._span(request, imported, request.query)
            queries = _panel_queries(request, imported, panel, span)
            return _json(await self._data(panel, queries, span))
        except WatchroomError as error:
            return _json({"error": _error_text(error)}, _status(error))

    async def _data(
        self, panel: Panel, queries: Sequence[charting.PanelQuery], span: TimeRange
    ) -> dict[str, object]:
        at_ms = round(self._services.now() * 1000) if span.live else span.end_ms

        def work(engine: Engine, queryable: Queryable) -> dict[str, object]:
            if panel.type in _NUMBERS:
                return _numbers(panel, charting.now(engine, queryable, queries, at_ms))
            drawing = charting.draw(engine, queryable, queries, span)
            return charting.body(panel, drawing, span)

        return await self._in_turn(work)

    async def _in_turn(self, work: Callable[[Engine, Queryable], _R]) -> _R:
        if self._waiting >= _MOST_WAITING:
            raise QueriesBusyError("too many charts are waiting, try again")
        self._waiting += 1
        try:
            async with self._turn:
                return await self._services.queries.run(work, _SECONDS)
        finally:
            self._waiting -= 1

    async def marks(self, request: web.Request) -> web.Response:
        """Answer with the events in the time range."""
        try:
            happened = await self._marks(request, self._imported(request))
        except WatchroomError as error:
            return _json({"error": _error_text(error)}, _status(error))
        return _json({"marks": [mark._asdict() for mark in happened]})

    async def _marks(
        self, request: web.Request, imported: ImportedDashboard
    ) -> list[Mark]:
        services = self._services
        gap_ms = round(services.config.evaluation_seconds * 3000) + 1000
        span = self._span(request, imported, request.query)
        books = await asyncio.to_thread(runbooks.names, services.config.root)

        def work(engine: Engine, queryable: Queryable) -> list[Mark]:
            del engine
            return marks.read_marks(queryable, span, gap_ms, books)

        fired = await services.queries.run(work, _SECONDS)
        return sorted([*fired, *marks.own_marks(services, span)], key=lambda m: m.at)


def _panel_queries(
    request: web.Request, imported: ImportedDashboard, panel: Panel, span: TimeRange
) -> list[charting.PanelQuery]:
    """Return a panel's queries with the variables that the URL chooses."""
    values = variables.chosen(imported.dashboard, request.query)
    return [
        charting.PanelQuery(
            target.refId,
            variables.filled(target.expr, imported.dashboard, values, span),
            target.legendFormat,
        )
        for target in panel.targets
        if not target.hide and target.expr.strip()
    ]


def cell(panel: Panel, imported: ImportedDashboard) -> Cell:
    """Return what is known of a panel without its data."""
    limit = charting.shown_limit(panel)
    limit_value = limit.most if panel.type in _NUMBERS else limit.value
    html: Any = ""
    refused = imported.refused.get(panel.id, "")
    if panel.type == "text" and not refused:
        mode = panel.options.get("mode", "markdown")
        html = runbooks.render(str(panel.options.get("content", "")))
        if mode != "markdown":
            refused = f"text panels in {mode} mode aren't supported"
    kind = {"row": "row", "text": "text"}.get(panel.type, "chart")
    if panel.type in _NUMBERS:
        kind = "number"
    if kind in {"chart", "number"} and not refused and not panel.targets:
        refused = "the panel has no query"
    return Cell(
        id=panel.id,
        kind=kind,
        title=panel.title,
        description=panel.description,
        width=next((w for w in (6, 8, 12) if panel.gridPos.w <= w), 24),
        limit=""
        if limit_value is None
        else limit_words(
            limit_value, panel.fieldConfig.defaults.unit, above_is_bad=limit.above
        ),
        html=html,
        refused=refused,
        runbook=runbooks.linked(panel.links),
    )


def _numbers(panel: Panel, now: charting.Now) -> dict[str, object]:
    """Return a panel of one number: in words, with its state."""
    unit = panel.fieldConfig.defaults.unit
    limit = charting.shown_limit(panel)
    rows = []
    for name, value in now.samples:
        words = quantity(value, unit, whole=limit.whole)
        rows.append(
            {
                "name": name,
                "number": words.number,
                "unit": words.unit,
                "state": limit.state(value),
            }
        )
    return {
        "numbers": rows,
        "total": now.total,
        "none": panel.fieldConfig.defaults.noValue or "",
    }


def _preset_links(request: web.Request) -> dict[str, str]:
    """Return the query of each preset, with the variables that are chosen."""
    selected = [
        (name, value)
        for name, value in request.query.items()
        if name.startswith("var-")
    ]
    return {
        name: str(
            request.rel_url.with_query(
                MultiDict([("from", f"now-{name}"), ("to", "now"), *selected])
            ).query_string
        )
        for name in PRESETS
    }


def _error_text(error: WatchroomError) -> str:
    if isinstance(error, QueryTimeoutError):
        return f"{error}; choose a shorter time range"
    return str(error)


def _status(error: WatchroomError) -> int:
    return 503 if isinstance(error, QueriesBusyError | QueryTimeoutError) else 422


def _json(data: dict[str, Any], status: int = 200) -> web.Response:
    answer = web.json_response(
        text=json.dumps(data, separators=(",", ":"), ensure_ascii=False),
        status=status,
        headers={"Cache-Control": "no-store"},
    )
    answer.enable_compression()
    return answer
