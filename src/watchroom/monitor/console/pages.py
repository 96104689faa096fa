"""The console's handlers: the page, its live fragment, runbooks, assets."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from typing import TYPE_CHECKING

from aiohttp import web

from watchroom.errors import QueryError, WatchroomError
from watchroom.monitor.console import runbooks
from watchroom.monitor.console.overview.board import Boards
from watchroom.monitor.console.overview.people import present
from watchroom.monitor.console.render import Page

if TYPE_CHECKING:
    from watchroom.monitor.console.render import Renderer
    from watchroom.monitor.services import Services

_ASSETS = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "charts.js": "text/javascript",
    "frame.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    # From npm, when the package was built.
    "vendor/idiomorph.min.js": "text/javascript",
    "vendor/idiomorph.LICENSE.txt": "text/plain",
    "vendor/uPlot.iife.min.js": "text/javascript",
    "vendor/uPlot.min.css": "text/css",
    "vendor/uPlot.LICENSE.txt": "text/plain",
}


class Console(Page):
    """Renders the pages; their data comes from `Boards`."""

    def __init__(self, services: Services, renderer: Renderer) -> None:
        super().__init__(services, renderer)
        self._boards = Boards(services)
        folder = files("watchroom.monitor.console") / "static"
        self._assets = {
            name: (folder / name).read_bytes()
            for name in _ASSETS
            if (folder / name).is_file()
        }

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        app.router.add_get("/", self.now)
        app.router.add_get("/board", self.board)
        app.router.add_get("/runbooks/", self.index)
        app.router.add_get("/runbooks/{name}", self.runbook)
        app.router.add_get("/static/{name:.+}", self.asset)

    async def now(self, request: web.Request) -> web.Response:
        """Answer with the whole page."""
        return await self._board_page(request, "now.html")

    async def board(self, request: web.Request) -> web.Response:
        """Answer with the part that changes."""
        return await self._board_page(request, "board.html")

    async def _board_page(self, request: web.Request, template: str) -> web.Response:
        problem, board = "", None
        try:
            board = await self._boards.current()
        except (QueryError, WatchroomError) as error:
            problem = str(error)
        return self._renderer.page(
            request,
            template,
            status=200 if board else 503,
            board=board,
            problem=problem,
            **present(self._services.oncall, request),
        )

    async def index(self, request: web.Request) -> web.Response:
        """List the runbooks."""
        root = self._services.config.root
        names = await asyncio.to_thread(lambda: sorted(runbooks.names(root)))
        return self._renderer.page(request, "runbooks.html", names=names)

    async def runbook(self, request: web.Request) -> web.Response:
        """Answer with one runbook."""
        name = request.match_info["name"].removesuffix(".md")
        root = self._services.config.root
        book = await asyncio.to_thread(runbooks.read, root, name)
        if book is None:
            raise web.HTTPNotFound(text="there is no such runbook\n")
        return self._renderer.page(request, "runbook.html", runbook=book)

    async def asset(self, request: web.Request) -> web.Response:
        """Answer with a stylesheet or script of the package."""
        name = request.match_info["name"]
        if name not in self._assets:
            raise web.HTTPNotFound
        return web.Response(
            body=self._assets[name],
            content_type=_ASSETS[name],
            charset="utf-8",
            headers={"Cache-Control": "no-cache"},
        )
