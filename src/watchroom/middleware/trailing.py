"""What the middleware does besides where watchroom writes logs or reports errors."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from watchroom.context.trace import CURRENT, of_request
from watchroom.instrument import http
from watchroom.instrument.outcome import BROKEN, of_error
from watchroom.instrument.streams import Stream
from watchroom.logs import console, lines, tasks
from watchroom.registry.guard import fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Token

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from watchroom.context.trace import TraceContext

    Opened = tuple[TraceContext, Token[TraceContext | None]]

REQUEST_ID = "X-Request-ID"


class Trailing:
    """Gives each request its ids, answers with them, and writes its line in the log."""

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        self._tells = self._follows_tasks = False
        self._mark: Callable[[TraceContext], None] | None = None
        try:
            self._tells = console.active()
            tracking = sys.modules.get("watchroom.tracking")
            self._mark = tracking.mark if tracking and tracking.active() else None
        except Exception:  # noqa: BLE001 - the guard, written out
            fault("context")
        self._follow_tasks()
        # Django asks the outermost alone, so this one does what the inner's would.
        self.process_view: Callable[..., Any] = self._trail_on
        if self.is_async:
            markcoroutinefunction(self)
            self.process_view = self._atrail_on

    def __call__(
        self, request: HttpRequest
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer as the inner layers do."""
        if self.is_async:
            return self._acall(request)
        opened = self._open(request)
        try:
            response: Any = self.get_response(request)
        except BaseException as error:
            self._close(opened, request, of_error(request, error), error)
            raise
        self._answer(opened, request, response)
        return cast("HttpResponseBase", response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        opened = self._open(request)
        try:
            response: Any = await self.get_response(request)
        except BaseException as error:
            self._close(opened, request, of_error(request, error), error)
            raise
        self._answer(opened, request, response)
        return cast("HttpResponseBase", response)

    def _open(self, request: HttpRequest) -> Opened | None:
        try:
            trace = of_request(request.META)
            trace.logged = self._tells
            request._watchroom_logged = self._tells  # type: ignore[attr-defined]  # noqa: SLF001 - ours
            if self._mark is not None:
                self._mark(trace)
            return trace, CURRENT.set(trace)
        except Exception:  # noqa: BLE001 - the guard, written out
            fault("context")
        return None

    def _answer(
        self, opened: Opened | None, request: HttpRequest, response: HttpResponseBase
    ) -> None:
        if opened is None:
            return
        try:
            response.headers.setdefault(REQUEST_ID, opened[0].request_id)
            if getattr(response, "streaming", False):
                trace = opened[0]
                self._streamed(request, response).follow(
                    response,
                    lambda status, error: self._close_stream(
                        trace, request, status, error
                    ),
                )
                return
        except Exception:  # noqa: BLE001 - the guard, written out
            fault("context")
        self._close(opened, request, response.status_code)

    @staticmethod
    def _streamed(request: HttpRequest, response: Any) -> Stream:
        """Return what follows the body already, for its count, or a new one."""
        stream = getattr(response, "_watchroom_stream", None)
        if isinstance(stream, Stream):
            return stream
        return Stream(request, response.status_code)

    def _close(
        self,
        opened: Opened | None,
        request: HttpRequest,
        status: int,
        error: BaseException | None = None,
    ) -> None:
        if opened is None:
            return
        trace, token = opened
        try:
            if self._tells:
                if error is not None and status >= BROKEN:
                    trace.exc_info = (type(error), error, error.__traceback__)
                lines.request(trace, request, status)
        except Exception:  # noqa: BLE001 - the guard, written out
            fault("logs")
        finally:
            CURRENT.reset(token)

    def _close_stream(
        self,
        trace: TraceContext,
        request: HttpRequest,
        status: int,
        error: BaseException | None,
    ) -> None:
        # Perhaps in another context: servers close where they like.
        self._close((trace, CURRENT.set(trace)), request, status, error)
        CURRENT.set(None)

    def _trail_on(self, request: HttpRequest, *_: object) -> None:
        # Which tasks there are is known once the views have been imported.
        if not self._follows_tasks:
            self._follow_tasks()
        http.resolved(request)

    def _follow_tasks(self) -> None:
        try:
            self._follows_tasks = tasks.install()
        except Exception:  # noqa: BLE001 - the guard, written out
            self._follows_tasks = True  # it would fail again with each request
            fault("logs")

    async def _atrail_on(self, request: HttpRequest, *_: object) -> None:
        self._trail_on(request)
