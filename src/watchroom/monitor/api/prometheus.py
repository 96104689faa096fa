"""/api/v1 as Prometheus answers it: queries and series."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, TypeVar

from watchroom.errors import QuerySyntaxError
from watchroom.monitor.api import encode
from watchroom.monitor.api.answers import (
    API,
    ReservedBody,
    answered,
    envelope,
    success,
    success_reserved,
)
from watchroom.monitor.api.parameters import check
from watchroom.monitor.api.params import (
    BadDataError,
    duration,
    read,
    time_ms,
    whole,
)
from watchroom.promql.model import Matcher, Matrix, Vector
from watchroom.promql.parse import parse
from watchroom.promql.relabel import is_label_name
from watchroom.promql.syntax import Selector

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web
    from multidict import MultiMapping

    from watchroom.promql.engine import Engine, Query
    from watchroom.promql.model import Labels, Queryable, Value

_R = TypeVar("_R")

_MOST_POINTS = 11_000
_MOST_LABEL_SETS = 50_000
_METADATA_SECONDS = 3600.0
_TRUNCATED = "results truncated due to limit"
_STATS = (
    'value {} for parameter "stats" is deprecated and will be rejected in the next '
    'major release, use "true" or "all"'
)


class QueryAPI(API):
    """Handlers that read samples."""

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
        params = await _parameters(request)
        text = _required(params, "query")
        at = time_ms(params, "time", self._services.now())

        def ask(engine: Engine, queryable: Queryable, query: Query) -> Value:
            return engine.instant(queryable, text, at, query)

        return await self._answer(request, params, ask, at)

    async def query_range(self, request: web.Request) -> web.StreamResponse:
        """Answer a range query."""
        params = await _parameters(request)
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

        def ask(engine: Engine, queryable: Queryable, query: Query) -> Value:
            return engine.range(queryable, text, start, end, step, query)

        return await self._answer(request, params, ask, end)

    async def _answer(
        self,
        request: web.Request,
        params: MultiMapping[str],
        ask: Callable[[Engine, Queryable, Query], Value],
        at_ms: int,
    ) -> web.StreamResponse:
        limit, lookback = whole(params, "limit"), _lookback(params)
        stats = params.get("stats", "")
        timeout = duration(params, "timeout", 0.0) if params.get("timeout") else None
        asked_at = time.monotonic()

        def work(engine: Engine, queryable: Queryable) -> ReservedBody:
            query, began = engine.ask(lookback), time.monotonic()
            try:
                value = ask(engine, queryable, query)
                done = time.monotonic()
                value, cut = _truncated(value, limit)
                data = encode.value(value, at_ms, query.budget.hold)
                if stats:
                    times = (began - asked_at, done - began)
                    data[-1:] = [encode.stats(query.budget, *times), b"}"]
                warnings = [*query.notes.warnings, *([_TRUNCATED] if cut else [])]
                if stats not in {"", "true", "all"}:
                    warnings.append(_STATS.format(json.dumps(stats)))
                body = envelope(data, warnings, query.notes.infos)
                return ReservedBody(body, query.budget)
            except BaseException:
                query.budget.close()
                raise

        held = await self._services.queries.run(work, timeout)
        return success_reserved(held, request)

    async def series(self, request: web.Request) -> web.StreamResponse:
        """List the series that selectors match."""
        params = await _parameters(request)
        if not params.getall("match[]", []):
            raise BadDataError("no match[] parameter provided")
        label_sets = sorted(await self._label_sets(params))
        rows, warnings = _limited(label_sets, params)
        text = ",".join(encode.metric(labels) for labels in rows)
        return success(f"[{text}]", request, warnings)

    async def labels(self, request: web.Request) -> web.StreamResponse:
        """List label names."""
        params = await _parameters(request)
        sets = await self._label_sets(params)
        names = sorted({name for labels in sets for name, _ in labels})
        rows, warnings = _limited(names, params)
        return success(json.dumps(rows), request, warnings)

    async def values(self, request: web.Request) -> web.StreamResponse:
        """List the values of one label."""
        name = unescape_name(request.match_info["name"])
        if not is_label_name(name):
            raise BadDataError(f"invalid label name: {name!r}")
        params = await _parameters(request)
        sets = await self._label_sets(params)
        label_values = sorted(
            {value for labels in sets for key, value in labels if key == name}
        )
        rows, warnings = _limited(label_values, params)
        return success(json.dumps(rows), request, warnings)

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
            label_sets: set[Labels] = set()
            for matchers in every:
                with engine.ask() as query:
                    groups = queryable.select(
                        matchers, start - 1, end, query.budget.reserve
                    )
                    for group in groups:
                        label_sets.update(group.labels)
            return label_sets

        label_sets = await self._services.queries.run(work)
        if len(label_sets) > _MOST_LABEL_SETS:
            raise BadDataError(
                f"{len(label_sets)} series match, {_MOST_LABEL_SETS} allowed; "
                "match fewer"
            )
        return label_sets


def unescape_name(name: str) -> str:
    """Return the name that ``U__a_2e_b`` encodes; any other is returned as it is.

    As client_golang's `UnescapeName`: after ``U__`` an underscore is two of them, and
    a character's code stands between two.
    """
    if not name.startswith("U__"):
        return name
    parts = re.split(r"_(_|[0-9a-fA-F]{1,6}_)", name[3:])
    codes = [0x5F if part == "_" else int(part[:-1], 16) for part in parts[1::2]]
    whole = not any("_" in part for part in parts[::2])
    if not whole or any(0xD7FF < code < 0xE000 or code > 0x10FFFF for code in codes):
        return name
    parts[1::2] = map(chr, codes)
    return "".join(parts)


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


async def _parameters(request: web.Request) -> MultiMapping[str]:
    params = await read(request)
    check(request, params)
    return params


def _lookback(params: MultiMapping[str]) -> float:
    seconds = duration(params, "lookback_delta", 0.0)
    if seconds < 0:
        raise BadDataError('invalid parameter "lookback_delta": it is below zero')
    return seconds


def _truncated(value: Value, limit: int) -> tuple[Value, bool]:
    """Return an answer with at most `limit` series, 0 for all, and if some went."""
    if isinstance(value, Vector) and 0 < limit < len(value.samples):
        return Vector(value.samples[:limit]), True
    if isinstance(value, Matrix) and 0 < limit < len(value.series):
        return Matrix(value.series[:limit]), True
    return value, False


def _limited(rows: list[_R], params: MultiMapping[str]) -> tuple[list[_R], list[str]]:
    limit = whole(params, "limit")
    if not 0 < limit < len(rows):
        return rows, []
    return rows[:limit], [_TRUNCATED]
