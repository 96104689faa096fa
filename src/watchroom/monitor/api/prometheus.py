"""/api/v1 as Prometheus answers it: queries and series."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from watchroom.errors import QuerySyntaxError
from watchroom.monitor.api import encode
from watchroom.monitor.api.answers import answered, success
from watchroom.monitor.api.params import BadDataError, duration, read, time_ms
from watchroom.promql.model import Matcher
from watchroom.promql.parse import parse
from watchroom.promql.syntax import Selector

if TYPE_CHECKING:
    from aiohttp import web
    from multidict import MultiMapping

    from watchroom.monitor.services import Services
    from watchroom.promql.engine import Engine
    from watchroom.promql.model import Labels, Queryable

_MOST_POINTS = 11_000
_MOST_LABEL_SETS = 50_000
_METADATA_SECONDS = 3600.0
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class QueryAPI:
    """Handlers that read samples."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        for path, handler in (
            ("/api/v1/query", self.query),
            ("/api/v1/query_range", self.query_range),
            ("/api/v1/series", self.series),
            ("/api/v1/labels", self.labels),
        ):
            app.router.add_get(path, answered(handler))
            app.router.add_post(path, answered(handler))
        app.router.add_get("/api/v1/label/{name}/values", answered(self.values))

    async def query(self, request: web.Request) -> web.StreamResponse:
        """Answer an instant query."""
        params = await read(request)
        text = _required(params, "query")
        at = time_ms(params, "time", self._services.now())
        limit = _timeout(params)

        def work(engine: Engine, queryable: Queryable) -> str:
            return encode.value(engine.instant(queryable, text, at), at)

        return success(await self._services.queries.run(work, limit), request)

    async def query_range(self, request: web.Request) -> web.StreamResponse:
        """Answer a range query."""
        params = await read(request)
        text = _required(params, "query")
        start = time_ms(params, "start", None)
        end = time_ms(params, "end", None)
        step = round(duration(params, "step", None) * 1000)
        if end < start:
            raise BadDataError('invalid parameter "end": it is before the start')
        if step <= 0:
            raise BadDataError('invalid parameter "step": it must be above zero')
        if (end - start) // step > _MOST_POINTS:
            raise BadDataError(
                f"more than {_MOST_POINTS} points per series; use a longer step"
            )

        def work(engine: Engine, queryable: Queryable) -> str:
            return encode.value(engine.range(queryable, text, start, end, step), end)

        answer = await self._services.queries.run(work, _timeout(params))
        return success(answer, request)

    async def series(self, request: web.Request) -> web.StreamResponse:
        """List the series that selectors match."""
        params = await read(request)
        if not params.getall("match[]", []):
            raise BadDataError("no match[] parameter provided")
        found = await self._label_sets(params)
        rows = (encode.metric(labels) for labels in _limited(sorted(found), params))
        return success(f"[{','.join(rows)}]", request)

    async def labels(self, request: web.Request) -> web.StreamResponse:
        """List label names."""
        params = await read(request)
        names = {
            name for labels in await self._label_sets(params) for name, _ in labels
        }
        return success(json.dumps(_limited(sorted(names), params)), request)

    async def values(self, request: web.Request) -> web.StreamResponse:
        """List the values of one label."""
        name = request.match_info["name"]
        if not _LABEL_NAME.fullmatch(name):
            raise BadDataError(f"invalid label name: {name!r}")
        params = await read(request)
        sets = await self._label_sets(params)
        found = {value for labels in sets for key, value in labels if key == name}
        return success(json.dumps(_limited(sorted(found), params)), request)

    async def _label_sets(self, params: MultiMapping[str]) -> set[Labels]:
        """Return the label sets in the time asked for, by default the last hour."""
        now = self._services.now()
        end = time_ms(params, "end", now)
        start = time_ms(params, "start", end / 1000 - _METADATA_SECONDS)
        if end < start:
            raise BadDataError('invalid parameter "end": it is before the start')
        selectors = [matchers_of(text) for text in params.getall("match[]", [])]
        every = selectors or [[Matcher("__name__", "!=", "")]]

        def work(engine: Engine, queryable: Queryable) -> set[Labels]:
            del engine
            found: set[Labels] = set()
            for matchers in every:
                for group in queryable.select(matchers, start - 1, end):
                    found.update(group.labels)
            return found

        found = await self._services.queries.run(work)
        if len(found) > _MOST_LABEL_SETS:
            raise BadDataError(
                f"{len(found)} series match, {_MOST_LABEL_SETS} allowed; match fewer"
            )
        return found


def matchers_of(text: str) -> list[Matcher]:
    """Return the matchers of a series selector.

    Raises:
        BadDataError: It is something else.
    """
    try:
        node = parse(text)
    except QuerySyntaxError as error:
        raise BadDataError(f'invalid parameter "match[]": {error}') from error
    if not isinstance(node, Selector):
        raise BadDataError(f'invalid parameter "match[]": {text!r} is not a selector')
    return list(node.matchers)


def _required(params: MultiMapping[str], name: str) -> str:
    text = params.get(name, "")
    if not text.strip():
        raise BadDataError(f'invalid parameter "{name}": it is empty')
    return text


def _timeout(params: MultiMapping[str]) -> float | None:
    return duration(params, "timeout", 0.0) or None


def _limited(rows: list, params: MultiMapping[str]) -> list:  # type: ignore[type-arg]
    text = params.get("limit", "")
    if not text:
        return rows
    if not text.isdigit():
        raise BadDataError('invalid parameter "limit": it is not a whole number')
    return rows[: int(text)] if int(text) else rows
