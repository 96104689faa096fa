"""The HTTP side put together: handlers, access, limits."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, cast

from aiohttp import web, web_response
from aiohttp.http_exceptions import HttpProcessingError

from watchroom.errors import ConfigError
from watchroom.monitor.api.alertmanager import AlertmanagerAPI
from watchroom.monitor.api.oncall import OnCallAPI
from watchroom.monitor.api.own import RELOAD, OwnAPI
from watchroom.monitor.api.prometheus import QueryAPI
from watchroom.monitor.api.proofs import ProofsAPI
from watchroom.monitor.api.silences import SilencesAPI
from watchroom.monitor.api.status import StatusAPI
from watchroom.monitor.console.alerts import AlertsPage
from watchroom.monitor.console.checklist import Checklist
from watchroom.monitor.console.dashboards.pages import Dashboards
from watchroom.monitor.console.graph import GraphPage
from watchroom.monitor.console.incidents.pages import IncidentPages
from watchroom.monitor.console.login import Logins
from watchroom.monitor.console.nav import PATHS, paths_of
from watchroom.monitor.console.pages import Console
from watchroom.monitor.console.render import Renderer
from watchroom.monitor.console.silences import SilencesPage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from watchroom.listen import Listen
    from watchroom.monitor.access.connections import ConnectionListener
    from watchroom.monitor.access.policy import Handler
    from watchroom.monitor.services import Services

_LARGEST_REQUEST = 1024 * 1024
_LOG_SECONDS = 60.0
_APIS = (
    QueryAPI,
    StatusAPI,
    AlertmanagerAPI,
    OnCallAPI,
    SilencesAPI,
    OwnAPI,
    ProofsAPI,
)
_PAGES = (
    Console,
    Dashboards,
    AlertsPage,
    GraphPage,
    IncidentPages,
    SilencesPage,
    Checklist,
    Logins,
)


class _Seldom(logging.Filter):
    """Lets one line a minute through about requests that are no HTTP, in short."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, HttpProcessingError):
            return True
        if time.monotonic() < self._next:
            return False
        self._next = time.monotonic() + _LOG_SECONDS
        record.msg, record.args, record.exc_info = "a request isn't HTTP", (), None
        return True


def application(
    services: Services, reload: Callable[[], Awaitable[str]]
) -> web.Application:
    """Return the monitor's web application.

    Args:
        services: What its handlers use.
        reload: Reads the files again; returns why the old ones stay, or "".
    """
    # Responses name no version, not even those to a request that isn't HTTP.
    web_response.SERVER_SOFTWARE = "watchroom"  # type: ignore[attr-defined]
    listener, access = services.listener, services.access

    @web.middleware
    async def bodies(request: web.Request, handler: Handler) -> web.StreamResponse:
        await listener.read(request, anonymous=access.is_open(request))
        return await handler(request)

    renderer = Renderer(services)
    app = web.Application(
        # Who asks is looked at before anything of the body is.
        middlewares=[
            listener.middleware,
            access.guard(renderer.error),
            bodies,
            access.forms,
        ],
        client_max_size=_LARGEST_REQUEST,
    )
    app[RELOAD] = reload
    parts = [part(services) for part in _APIS]
    pages = [page(services, renderer) for page in _PAGES]
    for part in (*parts, *pages):
        part.routes(app)
    app[PATHS] = paths_of(app)
    if prefix := services.access.prefix:
        # For proxies that keep the path under which the public name has us.
        prefixed = web.Application()
        for part in (*parts, *pages):
            part.routes(prefixed)
        app.router.add_get(prefix, _to_the_folder)
        app.add_subapp(prefix, prefixed)
    return app


async def _to_the_folder(request: web.Request) -> web.Response:
    """Answer the prefix without its slash, under which no relative link holds."""
    raise web.HTTPSeeOther(f"{request.path.rpartition('/')[2]}/")


async def serve(
    app: web.Application, listen: Listen, listener: ConnectionListener
) -> web.AppRunner:
    """Start answering; close the listener and clean the runner up to stop.

    Raises:
        ConfigError: The address is taken, or not ours.
    """
    log = logging.getLogger(__name__)
    if not log.filters:
        log.addFilter(_Seldom())
    runner = web.AppRunner(
        app, access_log=None, handle_signals=False, shutdown_timeout=2.0, logger=log
    )
    await runner.setup()
    try:
        await listener.listen(
            cast("web.Server", runner.server), listen.host, listen.port
        )
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(
            f"cannot listen on {listen.host}:{listen.port}: {error.strerror}",
            field="--listen",
            hint="is another monitor running there?",
        ) from error
    return runner
