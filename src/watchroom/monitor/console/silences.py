"""The silences page: which there are, by whom, until when and why; ending one."""

from __future__ import annotations

import asyncio

from aiohttp import web

from watchroom.errors import StoreError
from watchroom.monitor.console.incidents.pages import form_of, signed
from watchroom.monitor.console.overview.people import present
from watchroom.monitor.console.render import Page
from watchroom.monitor.console.silenced import lines
from watchroom.monitor.oncall.actions import BadActError
from watchroom.monitor.routing.silences import SilenceError

_SHOWN_ENDED = 20


class SilencesPage(Page):
    """Handlers of /silences."""

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        app.router.add_get("/silences", self.silences)
        app.router.add_post("/silences/{id:[0-9a-f-]{36}}/end", self.end)

    async def silences(
        self, request: web.Request, problem: str = "", status: int = 200
    ) -> web.Response:
        """List active, scheduled and recently ended silences."""
        services, now = self._services, self._services.oncall.now_ms()
        shown = lines(services.silences.all(now), services.dispatcher.alerts(now), now)
        ended = [line for line in shown if line.state == "expired"]
        return self._renderer.page(
            request,
            "silences.html",
            status=status,
            active=[line for line in shown if line.state == "active"],
            pending=[line for line in shown if line.state == "pending"],
            ended=ended[:_SHOWN_ENDED],
            now_ms=now,
            problem=problem,
            **present(services.oncall, request),
        )

    async def end(self, request: web.Request) -> web.Response:
        """End a silence now."""
        form = await form_of(request)
        who, name = form.get("as", ""), request.match_info["id"]
        try:
            await asyncio.to_thread(self._services.actions.end_silence, name, who)
        except BadActError as error:
            return await self.silences(request, str(error), 400)
        except SilenceError as error:
            status = 404 if error.missing else 400
            return await self.silences(request, str(error), status)
        except StoreError as error:
            return await self.silences(request, f"not saved: {error}", 503)
        self._services.notifier.wake()
        # From /silences/ID/end to /silences.
        raise signed(web.HTTPSeeOther("../../silences"), who)
