"""The console's handlers: the page, its live fragment, runbooks, login, assets."""

from __future__ import annotations

import asyncio
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from watchroom.errors import QueryError, WatchroomError
from watchroom.monitor.console import runbooks
from watchroom.monitor.console.board import Boards, clock, iso
from watchroom.monitor.console.values import ago, span

if TYPE_CHECKING:
    from watchroom.monitor.services import Services

_ASSETS = {"console.css": "text/css", "console.js": "text/javascript"}


class Console:
    """Renders; what to render comes from `Boards`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._boards = Boards(services)
        self._templates = Environment(
            loader=PackageLoader("watchroom.monitor.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {
            "ago": ago,
            "span": span,
            "clock": clock,
            "iso": iso,
        }
        folder = files("watchroom.monitor.console") / "static"
        self._assets = {name: (folder / name).read_bytes() for name in _ASSETS}

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        app.router.add_get("/", self.now)
        app.router.add_get("/board", self.board)
        app.router.add_get("/runbooks/", self.index)
        app.router.add_get("/runbooks/{name}", self.runbook)
        app.router.add_get("/login", self.login)
        app.router.add_get("/static/{name}", self.asset)

    async def now(self, request: web.Request) -> web.Response:
        """Answer with the whole page."""
        del request
        return await self._board_page("now.html")

    async def board(self, request: web.Request) -> web.Response:
        """Answer with what changes on it."""
        del request
        return await self._board_page("board.html")

    async def _board_page(self, template: str) -> web.Response:
        problem, board = "", None
        try:
            board = await self._boards.current()
        except (QueryError, WatchroomError) as error:
            problem = str(error)
        return self._page(
            template,
            status=200 if board else 503,
            board=board,
            problem=problem,
            root="",
        )

    async def index(self, request: web.Request) -> web.Response:
        """List the runbooks."""
        del request
        root = self._services.config.root
        found = await asyncio.to_thread(lambda: sorted(runbooks.names(root)))
        return self._page("runbooks.html", names=found, root="../")

    async def runbook(self, request: web.Request) -> web.Response:
        """Answer with one runbook."""
        name = request.match_info["name"].removesuffix(".md")
        root = self._services.config.root
        found = await asyncio.to_thread(runbooks.read, root, name)
        if found is None:
            raise web.HTTPNotFound(text="there is no such runbook\n")
        return self._page("runbook.html", runbook=found, root="../")

    async def login(self, request: web.Request) -> web.Response:
        """Ask for the token."""
        return self._page("login.html", wrong="wrong" in request.query, root="")

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

    def _page(
        self, template: str, *, status: int = 200, **context: Any
    ) -> web.Response:
        services = self._services
        text = self._templates.get_template(template).render(
            project=services.config.project,
            environment=services.config.environment,
            interval=max(2, round(services.config.evaluation_seconds)),
            **context,
        )
        return web.Response(
            text=text,
            status=status,
            content_type="text/html",
            headers={"Cache-Control": "no-store"},
        )
