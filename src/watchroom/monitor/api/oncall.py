"""On call over HTTP: incidents, acknowledgements, deployments, contacts."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

from watchroom.errors import ConfigError, StoreError
from watchroom.monitor.api.answers import API, failure, success_of
from watchroom.monitor.api.params import BadDataError, duration, read, time_ms
from watchroom.monitor.oncall.actions import BadActError
from watchroom.monitor.oncall.incident import RefusedStepError
from watchroom.monitor.state.database import on_disk

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web
    from multidict import MultiMapping

    from watchroom.monitor.oncall.actions import Actions, Done
    from watchroom.monitor.oncall.incident import Incident
    from watchroom.monitor.oncall.records import Deploy
    from watchroom.monitor.oncall.service import OnCall

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BASE = "/api/v1/watchroom"
_MOST = 500
_LONGEST_VERSION = 200


def act_of(
    actions: Actions, act: str, number: int, params: MultiMapping[str]
) -> Done | None:
    """Do what a form or a command asks of an incident; None for an unknown act.

    Raises:
        BadActError, RefusedStepError, KeyError: As `Actions`.
    """
    user, text = (
        params.get("as", ""),
        params.get("reason", "") or params.get("text", ""),
    )
    if act == "priority":
        return actions.prioritise(number, user, params.get("priority", ""))
    if act == "silence":
        return actions.silence(number, user, text, duration(params, "for", 3600.0))
    acts: dict[str, Callable[[int, str, str], Done]] = {
        "acknowledge": actions.acknowledge,
        "mitigate": actions.mitigate,
        "resolve": actions.resolve,
        "review": actions.review,
        "note": actions.note,
    }
    return acts[act](number, user, text) if act in acts else None


def answered(handler: Handler) -> Handler:
    """Turn what may go wrong into the API's error answers."""

    @functools.wraps(handler)
    async def wrapped(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except (BadActError, BadDataError, ConfigError) as error:
            return failure(400, "bad_data", str(error))
        except RefusedStepError as error:
            return failure(409, "conflict", str(error))
        except KeyError:
            number = request.match_info.get("number", "")
            return failure(404, "not_found", f"there is no incident {number}")
        except StoreError as error:
            return failure(503, "unavailable", f"not saved: {error}")

    return wrapped


class OnCallAPI(API):
    """Handlers under /api/v1/watchroom."""

    @property
    def _oncall(self) -> OnCall:
        return self._services.oncall

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        incident_path = f"{BASE}/incidents/{{number:[0-9]{{1,9}}}}"
        add = app.router
        add.add_get(f"{BASE}/incidents", answered(self.incidents))
        add.add_post(f"{BASE}/incidents", answered(self.create))
        add.add_get(incident_path, answered(self.incident))
        add.add_post(f"{incident_path}/{{act:[a-z]+}}", answered(self.act))
        add.add_get(f"{BASE}/deploys", answered(self.deploys))
        add.add_post(f"{BASE}/deploys", answered(self.deploy))
        add.add_get(f"{BASE}/contacts", answered(self.contacts))

    async def incidents(self, request: web.Request) -> web.Response:
        """List the open incidents, or with ``state=all`` the last ones."""
        state = request.query.get("state", "open")
        if state == "open":
            selected = self._oncall.incidents.open()
        elif state == "all":
            limit = _number(request.query.get("limit", "100"), "limit", _MOST)
            before = request.query.get("before")
            number = None if before is None else _number(before, "before", 2**53)
            records = self._oncall.records
            selected = await asyncio.to_thread(records.incidents, limit, number)
        else:
            raise BadDataError('invalid parameter "state": use open or all')
        return success_of([self._shown(incident) for incident in selected], request)

    async def incident(self, request: web.Request) -> web.Response:
        """Answer with one incident and its timeline."""
        number = int(request.match_info["number"])
        stored = await asyncio.to_thread(self._oncall.incidents.get, number)
        if stored is None:
            raise KeyError(number)
        return await self._whole(stored, request)

    async def create(self, request: web.Request) -> web.Response:
        """Open an incident by hand; gives the link by which it can be answered."""
        params = await read(request)
        actions = self._services.actions
        incident, written = actions.open(
            params.get("title", ""), params.get("priority", "P1"), params.get("as", "")
        )
        await on_disk(written)
        body = self._shown(incident)
        body["ack_url"] = self._oncall.ack_url(incident)
        return success_of(body, request)

    async def act(self, request: web.Request) -> web.Response:
        """Do what `act_of` knows: acknowledge, mitigate, resolve, review and so on."""
        params = await read(request)
        name, number = request.match_info["act"], int(request.match_info["number"])
        done = await asyncio.to_thread(
            act_of, self._services.actions, name, number, params
        )
        if done is None:
            return failure(404, "not_found", f"unknown action {name!r}")
        await on_disk(done[1])
        return await self._whole(done[0], request)

    async def deploys(self, request: web.Request) -> web.Response:
        """List deployments between ``start`` and ``end``, newest first."""
        now = self._services.now()
        start = time_ms(request.query, "start", 0.0)
        end = time_ms(request.query, "end", now + 60)
        limit = _number(request.query.get("limit", "100"), "limit", _MOST)
        marked = await asyncio.to_thread(self._oncall.deploys.all, start, end, limit)
        return success_of([deploy_shown(deploy) for deploy in marked], request)

    async def deploy(self, request: web.Request) -> web.Response:
        """Mark a deployment."""
        params = await read(request)
        version, by = params.get("version", "").strip(), params.get("by", "").strip()
        if not version or len(version) > _LONGEST_VERSION or not version.isprintable():
            raise BadDataError(
                f'invalid parameter "version": 1 to {_LONGEST_VERSION} characters'
            )
        if len(by) > _LONGEST_VERSION or not by.isprintable():
            raise BadDataError('invalid parameter "by": it is too long')
        saved = self._oncall.deploys.record(
            version, by or "somebody", self._oncall.now_ms()
        )
        return success_of(deploy_shown(await on_disk(saved)), request)

    async def contacts(self, request: web.Request) -> web.Response:
        """List who answers, in the order in which they are called."""
        loaded = self._oncall.contacts
        return success_of(
            {
                "contacts": [
                    {
                        "name": contact.name,
                        "role": contact.role,
                        "reach": contact.reach,
                        "receivers": contact.receivers,
                    }
                    for contact in loaded.contacts
                ],
                "escalation": [contact.name for contact in loaded.order()],
                "repeat_seconds": loaded.repeat_ms / 1000,
                "escalate_after_seconds": loaded.escalate_ms / 1000,
                "ack_timeout_seconds": loaded.ack_timeout_ms / 1000,
            },
            request,
        )

    async def _whole(self, incident: Incident, request: web.Request) -> web.Response:
        events = await asyncio.to_thread(self._oncall.records.events, incident.id)
        body = self._shown(incident)
        body["timeline"] = [
            {
                "at": event.at_ms / 1000,
                "source": event.source,
                "kind": event.kind,
                "text": event.text,
                "author": event.author,
            }
            for event in events
        ]
        return success_of(body, request)

    def _shown(self, incident: Incident) -> dict[str, Any]:
        acknowledged = None
        if incident.acknowledged_ms is not None:
            acknowledged = {
                "by": incident.acknowledged_by,
                "at": incident.acknowledged_ms / 1000,
                "reason": incident.reason,
            }
        return {
            "id": incident.id,
            "title": incident.title,
            "priority": incident.priority,
            "state": incident.state,
            "opened": incident.opened_ms / 1000,
            "first_failure": incident.first_ms / 1000,
            "acknowledged": acknowledged,
            "mitigated": _seconds(incident.mitigated_ms),
            "resolved": _seconds(incident.resolved_ms),
            "reviewed": _seconds(incident.reviewed_ms),
            "escalated_to": incident.escalated_to or None,
            "times": incident.times,
            "reopened": _seconds(incident.reopened_ms),
            "outages": [
                {
                    "first_failure": outage.first_failure_ms / 1000,
                    "detected": outage.detected_ms / 1000,
                    "resolved": outage.resolved_ms / 1000,
                }
                for outage in incident.earlier_outages
            ],
            "group": incident.group,
            "alerts": [
                {
                    "labels": alert.labels,
                    "began": alert.began_ms / 1000,
                    "ended": _seconds(alert.ended_ms),
                    "series_missing": bool(alert.series_missing),
                }
                for alert in incident.alerts.values()
            ],
            "timeline_dropped": incident.events_dropped,
            "url": self._oncall.incident_url(incident),
        }


def deploy_shown(deploy: Deploy) -> dict[str, Any]:
    """Return a deployment as JSON."""
    return {
        "id": deploy.id,
        "at": deploy.at_ms / 1000,
        "version": deploy.version,
        "by": deploy.author or None,
        "seen_on_processes": _seconds(deploy.seen_ms),
    }


def _seconds(at_ms: int | None) -> float | None:
    return None if at_ms is None else at_ms / 1000


def _number(text: str, name: str, most: int) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 16:
        raise BadDataError(f'invalid parameter "{name}": {text!r} is not a number')
    return max(1, min(int(text), most))
