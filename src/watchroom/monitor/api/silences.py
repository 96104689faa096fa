"""/api/v2/silences and /api/v2/silence/ID as Alertmanager answers them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from aiohttp import web

from watchroom.errors import QuerySyntaxError, StoreError
from watchroom.monitor.api.answers import API
from watchroom.monitor.api.received import epoch_ms, filters, refused
from watchroom.monitor.api.status import rfc3339
from watchroom.monitor.routing.silences import Silence, SilenceError
from watchroom.promql.model import Matcher, compile_regexp, labels_of, matches_all

_MOST_MATCHERS = 64
_LONGEST_TEXT = 16_384


class _MatcherIn(msgspec.Struct):
    """A matcher as the API takes it."""

    name: str
    value: str
    isRegex: bool  # noqa: N815 - the API's name
    isEqual: bool = True  # noqa: N815 - the API's name


class _SilenceIn(msgspec.Struct):
    """A silence as the API takes it."""

    matchers: Annotated[list[_MatcherIn], msgspec.Meta(min_length=1)]
    startsAt: str  # noqa: N815 - the API's name
    endsAt: str  # noqa: N815 - the API's name
    createdBy: str  # noqa: N815 - the API's name
    comment: str
    id: str | None = None


class SilencesAPI(API):
    """Handlers of silences."""

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        app.router.add_get("/api/v2/silences", self.list)
        app.router.add_post("/api/v2/silences", self.post)
        app.router.add_get("/api/v2/silence/{id}", self.get)
        app.router.add_delete("/api/v2/silence/{id}", self.delete)

    def _now_ms(self) -> int:
        return round(self._services.now() * 1000)

    async def list(self, request: web.Request) -> web.Response:
        """List the silences whose matchers meet every ``filter``."""
        matchers = filters(request)
        now = self._now_ms()
        return web.json_response(
            [
                _json(silence, now)
                for silence in self._services.silences.all(now)
                # Its matchers' texts replace labels, as in Alertmanager.
                if matches_all(
                    matchers, labels_of({m.name: m.value for m in silence.matchers})
                )
            ]
        )

    async def post(self, request: web.Request) -> web.Response:
        """Make or change a silence."""
        now = self._now_ms()
        try:
            posted = msgspec.json.decode(await request.read(), type=_SilenceIn)
            silence = _silence(posted)
        except msgspec.ValidationError as error:
            return refused(422, str(error))
        except (msgspec.DecodeError, QuerySyntaxError, ValueError) as error:
            return refused(400, str(error))
        before = self._services.silences.get(silence.id)
        try:
            name = await asyncio.to_thread(self._services.silences.put, silence, now)
        except SilenceError as error:
            return refused(404 if error.missing else 400, str(error))
        except StoreError as error:
            return refused(500, str(error))
        self._record_change(name, before)
        return web.json_response({"silenceID": name})

    async def get(self, request: web.Request) -> web.Response:
        """Answer with one silence."""
        silence = self._services.silences.get(request.match_info["id"])
        if silence is None:
            return web.Response(status=404)
        return web.json_response(_json(silence, self._now_ms()))

    async def delete(self, request: web.Request) -> web.Response:
        """Expire a silence."""
        name, now = request.match_info["id"], self._now_ms()
        before = self._services.silences.get(name)
        try:
            await asyncio.to_thread(self._services.silences.expire, name, now)
        except SilenceError:
            return web.Response(status=404)
        except StoreError as error:
            return refused(500, str(error))
        self._record_change(name, before)
        return web.Response()

    def _record_change(self, name: str, before: Silence | None) -> None:
        """Let incidents know of a silence that differs from what it was."""
        silence = self._services.silences.get(name)
        if silence is None:
            return
        if before is None or before._replace(updated_ms=silence.updated_ms) != silence:
            self._services.oncall.silenced(silence)


def _silence(posted: _SilenceIn) -> Silence:
    """Return the silence of a request.

    Raises:
        QuerySyntaxError: A pattern is not RE2.
        ValueError: A time is not one, or something is too long.
    """
    if len(posted.matchers) > _MOST_MATCHERS:
        raise ValueError(f"more than {_MOST_MATCHERS} matchers")
    texts = [posted.createdBy, posted.comment]
    texts += [
        text for matcher in posted.matchers for text in (matcher.name, matcher.value)
    ]
    if any(len(text) > _LONGEST_TEXT for text in texts):
        raise ValueError(f"a text of more than {_LONGEST_TEXT} characters")
    matchers = []
    for matcher in posted.matchers:
        if not matcher.name:
            raise ValueError("a matcher without a label name")
        if matcher.isRegex:
            compile_regexp(matcher.value)
        matchers.append(
            Matcher(
                matcher.name,
                _OPERATORS[matcher.isEqual, matcher.isRegex],
                matcher.value,
            )
        )
    return Silence(
        posted.id or "",
        tuple(matchers),
        epoch_ms(posted.startsAt),
        epoch_ms(posted.endsAt),
        0,
        posted.createdBy,
        posted.comment,
    )


_OPERATORS: dict[tuple[bool, bool], Any] = {
    (True, False): "=",
    (False, False): "!=",
    (True, True): "=~",
    (False, True): "!~",
}


def _json(silence: Silence, now: int) -> dict[str, Any]:
    return {
        "id": silence.id,
        "status": {"state": silence.state(now)},
        "updatedAt": rfc3339(silence.updated_ms),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": rfc3339(silence.ends_ms),
        "matchers": [
            {
                "isEqual": not matcher.op.startswith("!"),
                "isRegex": "~" in matcher.op,
                "name": matcher.name,
                "value": matcher.value,
            }
            for matcher in silence.matchers
        ],
        "startsAt": rfc3339(silence.starts_ms),
    }
