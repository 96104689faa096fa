"""The HTTP side put together: handlers, access, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import web

from watchroom.errors import ConfigError
from watchroom.monitor.api.alertmanager import AlertmanagerAPI
from watchroom.monitor.api.oncall import OnCallAPI
from watchroom.monitor.api.own import OwnAPI
from watchroom.monitor.api.prometheus import QueryAPI
from watchroom.monitor.api.proofs import ProofsAPI
from watchroom.monitor.api.silences import SilencesAPI
from watchroom.monitor.api.status import StatusAPI
from watchroom.monitor.console.alerts import AlertsPage
from watchroom.monitor.console.checklist import Checklist
from watchroom.monitor.console.dashboards import Dashboards
from watchroom.monitor.console.incidents import IncidentPages
from watchroom.monitor.console.login import Logins
from watchroom.monitor.console.nav import PATHS, paths_of
from watchroom.monitor.console.pages import Console
from watchroom.monitor.console.render import Renderer
from watchroom.monitor.console.silences import SilencesPage

if TYPE_CHECKING:
    from watchroom.monitor.auth import Listen
    from watchroom.monitor.services import Services

_LARGEST_REQUEST = 1024 * 1024
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
    IncidentPages,
    SilencesPage,
    Checklist,
    Logins,
)


def application(services: Services) -> web.Application:
    """Return the monitor's web application."""
    app = web.Application(
        middlewares=[services.access.middleware], client_max_size=_LARGEST_REQUEST
    )
    renderer = Renderer(services)
    services.access.said = renderer.error
    parts = [part(services) for part in _APIS]
    pages = [page(services, renderer) for page in _PAGES]
    for part in (*parts, *pages):
        part.routes(app)
    app[PATHS] = paths_of(app)
    if prefix := services.access.prefix:
        # For proxies that keep the path under which the public name has us.
        kept = web.Application()
        for part in (*parts, *pages):
            part.routes(kept)
        app.router.add_get(prefix, _to_the_folder)
        app.add_subapp(prefix, kept)
    return app


async def _to_the_folder(request: web.Request) -> web.Response:
    """Answer the prefix without its slash, under which no relative link holds."""
    raise web.HTTPSeeOther(f"{request.path.rpartition('/')[2]}/")


async def serve(app: web.Application, listen: Listen) -> web.AppRunner:
    """Start answering; clean the runner up to stop.

    Raises:
        ConfigError: The address is taken, or not ours.
    """
    runner = web.AppRunner(
        app, access_log=None, handle_signals=False, shutdown_timeout=2.0
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, listen.host, listen.port, backlog=256).start()
    except OSError as error:
        await runner.cleanup()
        raise ConfigError(
            f"cannot listen on {listen.host}:{listen.port}: {error.strerror}",
            field="--listen",
            hint="is another monitor running there?",
        ) from error
    return runner
