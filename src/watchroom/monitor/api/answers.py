"""The envelope of every /api/v1 answer, and which error is which status."""

from __future__ import annotations

import abc
import functools
import json
import logging
import weakref
from typing import TYPE_CHECKING, Any

from aiohttp import web

from watchroom.errors import QueryError, QuerySyntaxError, WatchroomError
from watchroom.monitor.api.parameters import check
from watchroom.monitor.api.params import BadDataError
from watchroom.monitor.queries import QueriesBusyError, QueryTimeoutError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from watchroom.monitor.services import Services
    from watchroom.promql.budget import Budget

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOG = logging.getLogger(__name__)
_COMPRESS_FROM = 4096


class API(abc.ABC):
    """The handlers of one part of the API, and what they use."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @abc.abstractmethod
    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""


class ReservedBody:
    """An answer's body, and the memory that stays held until it has been sent.

    Released with the object when the client has gone away.
    """

    def __init__(self, body: bytes, budget: Budget) -> None:
        """Keep of what `budget` holds as much as the body takes."""
        self.body = body
        budget.settle(len(body))
        self.release = weakref.finalize(self, budget.close)


class _ReservedResponse(web.Response):
    """An answer that gives its memory back when it has been sent."""

    held: ReservedBody | None = None

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the body."""
        try:
            await super().write_eof(data)
        finally:
            if self.held is not None:
                self.held.release()


def envelope(
    data: Sequence[bytes], warnings: Sequence[str] = (), infos: Sequence[str] = ()
) -> bytes:
    """Return the JSON text of an answer from the parts of its data."""
    notes = b"".join(
        f',"{kind}":{json.dumps(texts, ensure_ascii=False)}'.encode("utf-8", "replace")
        for kind, texts in (("warnings", warnings), ("infos", infos))
        if texts
    )
    return b"".join((b'{"status":"success","data":', *data, notes, b"}"))


def success(
    data: str, request: web.Request, warnings: Sequence[str] = ()
) -> web.Response:
    """Return the answer for JSON text `data`, compressed when large and welcome."""
    return _answer(envelope([data.encode("utf-8", "replace")], warnings), request)


def success_reserved(held: ReservedBody, request: web.Request) -> web.Response:
    """Return the answer for a body whose memory is held until it is sent."""
    answer = _answer(held.body, request)
    answer.held = held
    return answer


def _answer(body: bytes, request: web.Request) -> _ReservedResponse:
    answer = _ReservedResponse(
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
    if len(body) > _COMPRESS_FROM and "gzip" in request.headers.get(
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


_CLASSES: tuple[tuple[type[WatchroomError], int, str], ...] = (
    (BadDataError, 400, "bad_data"),
    (QuerySyntaxError, 400, "bad_data"),
    (QueryTimeoutError, 503, "timeout"),
    (QueriesBusyError, 503, "unavailable"),
    (QueryError, 422, "execution"),
    (WatchroomError, 500, "internal"),
)


def _refusal(error: WatchroomError) -> web.Response:
    """Return the answer for one of our errors, as Prometheus classes it."""
    message = str(error)
    if isinstance(error, QuerySyntaxError):
        message = f'invalid parameter "query": {message}'
    found = next(row for row in _CLASSES if isinstance(error, row[0]))
    return failure(*found[1:], message)


def answered(handler: Handler) -> Handler:
    """Turn the errors of a handler into the API's error answers."""

    @functools.wraps(handler)
    async def wrapped(request: web.Request) -> web.StreamResponse:
        try:
            check(request, request.query)
            return await handler(request)
        except WatchroomError as error:
            return _refusal(error)
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - the API's one guard: a bug is a 500
            _LOG.exception("%s failed inside the monitor", request.path)
            return failure(500, "internal", f"internal error: {type(error).__name__}")

    return wrapped
