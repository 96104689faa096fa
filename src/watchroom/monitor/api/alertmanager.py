"""/api/v2 as Alertmanager answers it: alerts, groups, receivers, status."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from aiohttp import web

from watchroom.errors import QuerySyntaxError
from watchroom.monitor.api.status import rfc3339
from watchroom.promql.model import matches_all
from watchroom.promql.parse import parse
from watchroom.promql.syntax import Selector

if TYPE_CHECKING:
    from watchroom.monitor.dispatch import AlertStatusView
    from watchroom.monitor.services import Services
    from watchroom.promql.model import Matcher

_HEARD_OF_AGAIN_MS = 4 * 60_000


class AlertmanagerAPI:
    """Handlers of the alerting half."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        app.router.add_get("/api/v2/alerts", self.alerts)
        app.router.add_get("/api/v2/alerts/groups", self.groups)
        app.router.add_get("/api/v2/receivers", self.receivers)
        app.router.add_get("/api/v2/silences", self.silences)
        app.router.add_get("/api/v2/status", self.status)

    def _now_ms(self) -> int:
        return round(self._services.now() * 1000)

    async def alerts(self, request: web.Request) -> web.Response:
        """List the firing alerts and where they go."""
        matchers = _filters(request)
        now = self._now_ms()
        rows = [
            _alert(view, now)
            for view in self._services.dispatcher.alerts(now)
            if _wanted(view, request, matchers)
        ]
        return web.json_response(rows)

    async def groups(self, request: web.Request) -> web.Response:
        """List the groups that notifications are about."""
        matchers = _filters(request)
        now = self._now_ms()
        shown = []
        for group in self._services.dispatcher.alert_groups(now):
            alerts = [
                _alert(view, now)
                for view in group.alerts
                if _wanted(view, request, matchers)
            ]
            if alerts:
                shown.append(
                    {
                        "labels": dict(group.labels),
                        "receiver": {"name": group.receiver},
                        "alerts": alerts,
                    }
                )
        return web.json_response(shown)

    async def receivers(self, request: web.Request) -> web.Response:
        """List the receivers by name."""
        del request
        config = self._services.config.alertmanager
        return web.json_response([{"name": one.name} for one in config.receivers])

    async def silences(self, request: web.Request) -> web.Response:
        """List silences: the embedded monitor has none yet."""
        del request
        return web.json_response([])

    async def status(self, request: web.Request) -> web.Response:
        """Answer with version, start time and configuration."""
        del request
        return web.json_response(
            {
                "cluster": {"status": "disabled", "peers": []},
                "config": {"original": self._services.config.alertmanager_text},
                "uptime": rfc3339(round(self._services.started * 1000)),
                "versionInfo": {
                    "branch": "watchroom",
                    "buildDate": "",
                    "buildUser": "",
                    "goVersion": "",
                    "revision": "",
                    "version": f"watchroom-{version('watchroom')}",
                },
            }
        )


def _filters(request: web.Request) -> list[Matcher]:
    """Return the matchers of ``filter=name="value"``, as amtool sends them."""
    found: list[Matcher] = []
    for text in request.query.getall("filter", []):
        inner = text if text.startswith("{") else f"{{{text}}}"
        try:
            node = parse(inner)
        except QuerySyntaxError as error:
            raise web.HTTPBadRequest(text=f"bad filter {text!r}: {error}\n") from error
        if isinstance(node, Selector):
            found.extend(node.matchers)
    return found


def _wanted(
    view: AlertStatusView, request: web.Request, matchers: list[Matcher]
) -> bool:
    if not matches_all(matchers, view.alert.labels):
        return False
    receiver = request.query.get("receiver")
    if receiver is not None and receiver not in view.receivers:
        return False
    if view.state == "active":
        return request.query.get("active", "true") != "false"
    return request.query.get("inhibited", "true") != "false"


def _alert(view: AlertStatusView, now: int) -> dict[str, Any]:
    alert = view.alert
    ends = alert.ends_at_ms
    return {
        "annotations": dict(alert.annotations),
        "endsAt": rfc3339(now + _HEARD_OF_AGAIN_MS if ends is None else ends),
        "fingerprint": alert.fingerprint,
        "receivers": [{"name": name} for name in view.receivers],
        "startsAt": rfc3339(alert.starts_at_ms),
        "status": {
            "inhibitedBy": list(view.inhibited_by),
            "silencedBy": [],
            "state": view.state,
        },
        "updatedAt": rfc3339(alert.updated_at_ms),
        "generatorURL": alert.generator_url,
        "labels": dict(alert.labels),
    }
