"""/api/v2 as Alertmanager answers it: alerts, groups, receivers, status."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from watchroom.errors import QuerySyntaxError
from watchroom.monitor.api.answers import API
from watchroom.monitor.api.received import AlertIn, alert_of, filters, refused
from watchroom.monitor.api.status import rfc3339
from watchroom.promql.model import compile_regexp, matches_all
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.monitor.dispatch.views import AlertStatusView
    from watchroom.promql.model import Matcher

# What Alertmanager's own reader of parameters takes for true; all else is false.
_TRUE = frozenset(
    {
        *("true", "1", "yes", "ok", "y", "on"),
        *("selected", "checked", "t", "enabled"),
    }
)
_HEARD_OF_AGAIN_MS = 4 * 60_000


class AlertmanagerAPI(API):
    """Handlers of the alerting half."""

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        app.router.add_get("/api/v2/alerts", self.alerts)
        app.router.add_post("/api/v2/alerts", self.post)
        app.router.add_get("/api/v2/alerts/groups", self.groups)
        app.router.add_get("/api/v2/receivers", self.receivers)
        app.router.add_get("/api/v2/status", self.status)

    def _now_ms(self) -> int:
        return round(self._services.now() * 1000)

    async def alerts(self, request: web.Request) -> web.Response:
        """List the firing alerts and where they go."""
        matchers, receives = filters(request), _receivers(request)
        now = self._now_ms()
        rows = [
            _alert(view, now)
            for view in self._services.dispatcher.alerts(now)
            if any(map(receives, view.receivers or [""]))
            and _wanted(view, request, matchers)
        ]
        return web.json_response(rows)

    async def post(self, request: web.Request) -> web.Response:
        """Take alerts from outside: amtool, a script, another Prometheus.

        Of a list with a wrong one the others count all the same, as in Alertmanager.
        """
        now = self._now_ms()
        try:
            posted = msgspec.json.decode(await request.read(), type=list[AlertIn])
        except msgspec.ValidationError as error:
            return refused(422, str(error))
        except msgspec.DecodeError as error:
            return refused(400, str(error))
        config = self._services.config.alertmanager
        timeout_ms = round(parse_duration(config.global_.resolve_timeout) * 1000)
        good, wrong = [], []
        for item in posted:
            try:
                good.append(alert_of(item, now, timeout_ms))
            except ValueError as error:
                wrong.append(str(error))
        without = self._services.notifier.take(good)
        if wrong:
            return refused(400, "; ".join(wrong[:10]))
        if without:
            return refused(
                429, f"{without} of these alerts were refused: too many alerts"
            )
        return web.Response()

    async def groups(self, request: web.Request) -> web.Response:
        """List the groups that notifications are about."""
        matchers, receives = filters(request), _receivers(request)
        now = self._now_ms()
        listed = []
        for group in self._services.dispatcher.alert_groups(now):
            if not receives(group.receiver):
                continue
            alerts = [
                _alert(view, now)
                for view in group.alerts
                if _wanted(view, request, matchers)
            ]
            if alerts:
                listed.append(
                    {
                        "labels": dict(group.labels),
                        "receiver": {"name": group.receiver},
                        "alerts": alerts,
                    }
                )
        return web.json_response(listed)

    async def receivers(self, _: web.Request) -> web.Response:
        """List the receivers by name."""
        config = self._services.config.alertmanager
        return web.json_response(
            [{"name": receiver.name} for receiver in config.receivers]
        )

    async def status(self, _: web.Request) -> web.Response:
        """Answer with version, start time and configuration."""
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


def _receivers(request: web.Request) -> Callable[[str], bool]:
    """Return which receivers the ``receiver`` parameter, a pattern, selects.

    Raises:
        HTTPBadRequest: It is not a pattern.
    """
    pattern = request.query.get("receiver")
    if not pattern:
        return lambda name: True  # noqa: ARG005 - one shape for both
    try:
        program = compile_regexp(pattern)
    except QuerySyntaxError as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from error
    return lambda name: program.fullmatch(name) is not None


def _wanted(
    view: AlertStatusView, request: web.Request, matchers: list[Matcher]
) -> bool:
    def flag(name: str) -> bool:
        return request.query.get(name, "true").lower() in _TRUE

    if not matches_all(matchers, view.alert.labels):
        return False
    if view.state == "active":
        return flag("active")
    if view.silenced_by and not flag("silenced"):
        return False
    return flag("inhibited") or not view.inhibited_by


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
            # Groups are muted by time intervals, which are not supported here.
            "mutedBy": [],
            "silencedBy": list(view.silenced_by),
            "state": view.state,
        },
        "updatedAt": rfc3339(alert.updated_at_ms),
        "generatorURL": alert.generator_url,
        "labels": dict(alert.labels),
    }
