"""The envelope of every /api/v1 answer, and which error is which status."""

from __future__ import annotations

import functools
import json
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import web

from watchroom.errors import QueryError, QuerySyntaxError, WatchroomError
from watchroom.monitor.api.params import BadDataError
from watchroom.monitor.queries import QueriesBusyError, QueryTimeoutError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOG = logging.getLogger(__name__)
_COMPRESS_FROM = 4096


def success(data: str, request: web.Request) -> web.Response:
    """Return the answer for JSON text `data`, compressed when large and welcome."""
    answer = web.Response(
        body=f'{{"status":"success","data":{data}}}'.encode(),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
    if len(data) > _COMPRESS_FROM and "gzip" in request.headers.get(
        "Accept-Encoding", ""
    ):
        answer.enable_compression(web.ContentCoding.gzip)
    return answer


def success_of(data: Any, request: web.Request) -> web.Response:
    """Return the answer for a JSON-able object."""
    return success(json.dumps(data, separators=(",", ":"), ensure_ascii=False), request)


def failure(status: int, kind: str, message: str) -> web.Response:
    """Return an error answer."""
    return web.json_response(
        {"status": "error", "errorType": kind, "error": message}, status=status
    )


def _refusal(error: WatchroomError) -> web.Response:
    """Return the answer for an error of ours, as Prometheus classes it."""
    message = str(error)
    match error:
        case BadDataError():
            found = (400, "bad_data")
        case QuerySyntaxError():
            found = (400, "bad_data")
            message = f'invalid parameter "query": {message}'
        case QueryTimeoutError():
            found = (503, "timeout")
        case QueriesBusyError():
            found = (503, "unavailable")
        case QueryError():
            found = (422, "execution")
        case _:
            found = (500, "internal")
    return failure(*found, message)


def answered(handler: Handler) -> Handler:
    """Turn the errors of a handler into the API's error answers."""

    @functools.wraps(handler)
    async def wrapped(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except WatchroomError as error:
            return _refusal(error)
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - the API's one guard: a bug is a 500
            _LOG.exception("%s failed inside the monitor", request.path)
            return failure(500, "internal", f"internal error: {type(error).__name__}")

    return wrapped
