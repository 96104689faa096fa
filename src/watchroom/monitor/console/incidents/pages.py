"""Pages of incidents, and the page behind the link in a notification."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import web

from watchroom.errors import StoreError, WatchroomError
from watchroom.monitor.api.oncall import act_of
from watchroom.monitor.api.params import BadDataError
from watchroom.monitor.console.incidents import words
from watchroom.monitor.console.incidents.steps import steps, window
from watchroom.monitor.console.overview.people import WHO, present
from watchroom.monitor.console.render import Page
from watchroom.monitor.console.silenced import over_incident
from watchroom.monitor.oncall.actions import BadActError
from watchroom.monitor.oncall.incident import RefusedStepError
from watchroom.monitor.state.database import on_disk
from watchroom.urgency import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.monitor.oncall.incident import Event, Incident
    from watchroom.monitor.oncall.links import AnswerLink
    from watchroom.monitor.oncall.records import Sent
    from watchroom.monitor.oncall.service import OnCall

_WHO_SECONDS = 180 * 86400
_DEPLOYS_BEFORE_MS = 6 * 3_600_000
_SHOWN = 50
_SILENCE_SECONDS = 3600.0


class IncidentPages(Page):
    """Handlers of /incidents/ and of the signed /answer/."""

    @property
    def _oncall(self) -> OnCall:
        return self._services.oncall

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        incident_path = "/incidents/{number:[0-9]{1,9}}"
        app.router.add_get("/incidents", self.folder)
        app.router.add_get("/incidents/", self.index)
        app.router.add_post("/incidents/", self.create)
        app.router.add_get(incident_path, self.incident)
        app.router.add_post(f"{incident_path}/{{act:[a-z]+}}", self.act)
        app.router.add_get("/answer/{name}", self.ask)
        app.router.add_post("/answer/{name}", self.answer)

    async def folder(self, _: web.Request) -> web.Response:
        """Lead to the list."""
        raise web.HTTPSeeOther("incidents/")

    async def index(
        self, request: web.Request, problem: str = "", status: int = 200
    ) -> web.Response:
        """List the open incidents, and the last ones."""
        now = self._oncall.now_ms()
        open_ = self._oncall.incidents.open()
        records = self._oncall.records
        last = await asyncio.to_thread(records.incidents, _SHOWN)
        past = [incident for incident in last if not incident.open]
        return self._renderer.page(
            request,
            "incidents.html",
            status=status,
            open=[(incident, self._head(incident, now)) for incident in open_],
            past=[(incident, words.head(incident, now)) for incident in past],
            waiting=sum(incident.state == "firing" for incident in open_),
            now_ms=now,
            problem=problem,
            **self._people(request),
        )

    async def create(self, request: web.Request) -> web.Response:
        """Open an incident manually."""
        form = await form_of(request)
        try:
            incident, written = self._services.actions.open(
                form.get("title", ""), form.get("priority", ""), form.get("as", "")
            )
            await on_disk(written)
        except (BadActError, RefusedStepError) as error:
            return await self.index(request, str(error), 400)
        except StoreError as error:
            return await self.index(request, f"not saved: {error}", 503)
        raise signed(web.HTTPSeeOther(str(incident.id)), form.get("as", ""))

    async def incident(
        self, request: web.Request, problem: str = "", status: int = 200, text: str = ""
    ) -> web.Response:
        """Answer with one incident."""
        number = int(request.match_info["number"])
        incident = await asyncio.to_thread(self._oncall.incidents.get, number)
        if incident is None:
            raise web.HTTPNotFound(text=f"there is no incident {number}\n")
        context = await asyncio.to_thread(self._context, incident)
        return self._renderer.page(
            request,
            "incident.html",
            status=status,
            problem=problem,
            text=text,
            **context,
            **self._people(request),
        )

    def _context(self, incident: Incident) -> dict[str, Any]:
        """Return what an incident's page shows; reads the disk."""
        now, oncall, config = self._oncall.now_ms(), self._oncall, self._services.config
        start, end = window(incident, now)
        records = oncall.records
        events = records.events(incident.id)
        sent: list[Sent] = []
        if incident.fingerprints:
            begin = incident.opened_ms - 1000
            sent = records.sent(incident.fingerprints, begin, end)
        return {
            "incident": incident,
            "head": self._head(incident, now, events),
            "receivers": words.receivers(incident, sent, oncall.contacts),
            "entries": words.entries(events),
            "steps": steps(
                incident,
                root=config.root,
                manifest=config.manifest,
                contacts=oncall.contacts,
                releases=oncall.deploys.between(start - _DEPLOYS_BEFORE_MS, end),
                dashboards=list(config.dashboards),
                now_ms=now,
            ),
            "now_ms": now,
        }

    def _head(
        self, incident: Incident, now_ms: int, events: Sequence[Event] = ()
    ) -> words.IncidentHeader:
        services = self._services
        views = services.dispatcher.alerts(now_ms)
        held = over_incident(incident, services.silences, views, now_ms)
        return words.head(incident, now_ms, events, held)

    async def act(self, request: web.Request) -> web.Response:
        """Do what a form of the page asks, and show the page again."""
        form = await form_of(request)
        number, name = int(request.match_info["number"]), request.match_info["act"]
        try:
            done = await asyncio.to_thread(
                act_of, self._services.actions, name, number, form
            )
            if done is None:
                raise web.HTTPNotFound(text=f"there is no action {name}\n")
            await on_disk(done[1])
        except KeyError:
            raise web.HTTPNotFound(text=f"there is no incident {number}\n") from None
        except (BadActError, BadDataError, RefusedStepError) as error:
            return await self.incident(request, str(error), 400, form.get("text", ""))
        except StoreError as error:
            return await self.incident(request, f"not saved: {error}", 503)
        # From /incidents/31/note to /incidents/31.
        raise signed(web.HTTPSeeOther(f"../{number}"), form.get("as", ""))

    async def ask(
        self, request: web.Request, problem: str = "", status: int = 200
    ) -> web.Response:
        """Show the incident of a notification's link; viewing it changes nothing."""
        link = self._oncall.signer.read(
            request.match_info["name"], self._services.now()
        )
        incident = None if link is None else await self._linked(link)
        now, head = self._oncall.now_ms(), None
        if incident is None:
            status = 410 if link is not None else 404
        else:
            read = self._oncall.records.events
            head = self._head(incident, now, await asyncio.to_thread(read, incident.id))
        return self._renderer.page(
            request,
            "answer.html",
            status=status,
            incident=incident,
            head=head,
            problem=problem,
            expired=link is not None,
            now_ms=now,
            **self._people(request),
        )

    async def answer(self, request: web.Request) -> web.Response:
        """Acknowledge by a link."""
        name = request.match_info["name"]
        link = self._oncall.signer.read(name, self._services.now())
        if link is None or await self._linked(link) is None:
            self._services.access.refused += 1
            return await self.ask(request)
        form = await form_of(request)
        who, reason = form.get("as", ""), form.get("reason", "")
        try:
            actions = self._services.actions
            number = link.incident
            try:
                done = await asyncio.to_thread(actions.acknowledge, number, who, reason)
            except (KeyError, RefusedStepError):
                # Already acknowledged: the page shows by whom.
                raise signed(web.HTTPSeeOther(name), who) from None
            await on_disk(done[1])
            if form.get("silence"):
                done = await asyncio.to_thread(
                    actions.silence, number, who, reason, _SILENCE_SECONDS
                )
                await on_disk(done[1])
        except RefusedStepError as error:
            return await self.ask(request, f"not silenced: {error}", 409)
        except (BadActError, WatchroomError) as error:
            return await self.ask(request, str(error), 400)
        raise signed(web.HTTPSeeOther(name), who)

    async def _linked(self, link: AnswerLink) -> Incident | None:
        """Return a link's incident, while the link is valid."""
        if link.expired:
            return None
        incident = await asyncio.to_thread(self._oncall.incidents.get, link.incident)
        return incident if incident and incident.opened_ms == link.opened_ms else None

    def _people(self, request: web.Request) -> dict[str, Any]:
        return {**present(self._oncall, request), "priorities": PRIORITIES}


async def form_of(request: web.Request) -> Any:
    """Return the fields of a form that are texts."""
    form = await request.post()
    return {name: value for name, value in form.items() if isinstance(value, str)}


def signed(response: web.HTTPSeeOther, who: str) -> web.HTTPSeeOther:
    """Let the browser remember its user's name, which proves nothing."""
    if who.strip():
        response.set_cookie(
            WHO,
            quote(" ".join(who.split())[:80], safe=""),
            max_age=_WHO_SECONDS,
            httponly=True,
            samesite="Strict",
        )
    return response
