"""What the middleware does besides where watchroom writes logs or reports errors."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, cast

from watchroom.context.trail import CURRENT, of_request
from watchroom.instrument import http
from watchroom.logs import console, lines, tasks
from watchroom.registry.guard import fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Token

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from watchroom.context.trail import Trail

    Opened = tuple[Trail, Token[Trail | None]]

REQUEST_ID = "X-Request-ID"


class Trailing:
    """Gives each request its ids, answers with them, and tells of it in one line.

    Goes before the middleware's class, in a class of both.
    """

    is_async: bool
    process_view: Callable[..., Any]

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)  # type: ignore[call-arg]  # the middleware's
        self._tells = console.active()
        self._follows_tasks = tasks.install()
        tracking = sys.modules.get("watchroom.tracking")
        self._mark = tracking.mark if tracking and tracking.active() else None
        self.process_view = self._atrail_on if self.is_async else self._trail_on

    def __call__(
        self, request: HttpRequest
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer as the inner layers do."""
        if self.is_async:
            return self._acall(request)
        opened = self._open(request)
        try:
            response: Any = super().__call__(request)  # type: ignore[misc]  # the middleware's
        except BaseException:
            self._close(opened, request, 500)
            raise
        self._answer(opened, request, response)
        return cast("HttpResponseBase", response)

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        opened = self._open(request)
        try:
            response: Any = await super()._acall(request)  # type: ignore[misc]  # the middleware's
        except asyncio.CancelledError:
            self._close(opened, request, http.GONE)
            raise
        except BaseException:
            self._close(opened, request, 500)
            raise
        self._answer(opened, request, response)
        return cast("HttpResponseBase", response)

    def _open(self, request: HttpRequest) -> Opened | None:
        try:
            trail = of_request(request.META)
            trail.told = self._tells
            request._watchroom_told = self._tells  # type: ignore[attr-defined]  # noqa: SLF001 - ours
            if self._mark is not None:
                self._mark(trail)
            return trail, CURRENT.set(trail)
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
                status = response.status_code
                response._resource_closers.append(  # type: ignore[attr-defined]  # noqa: SLF001 - as Django's own files
                    lambda: self._close_stream(opened[0], request, status)
                )
                return
        except Exception:  # noqa: BLE001 - the guard, written out
            fault("context")
        self._close(opened, request, response.status_code)

    def _close(self, opened: Opened | None, request: HttpRequest, status: int) -> None:
        if opened is None:
            return
        trail, token = opened
        try:
            if self._tells:
                lines.request(trail, request, status)
        except Exception:  # noqa: BLE001 - the guard, written out
            fault("logs")
        finally:
            CURRENT.reset(token)

    def _close_stream(self, trail: Trail, request: HttpRequest, status: int) -> None:
        # Perhaps in another context: servers close where they like.
        self._close((trail, CURRENT.set(trail)), request, status)
        CURRENT.set(None)

    def _trail_on(self, request: HttpRequest, *_: object) -> None:
        # Which tasks there are is known once the views have been imported.
        if not self._follows_tasks:
            self._follows_tasks = tasks.install()
        http.resolved(request)

    async def _atrail_on(self, request: HttpRequest, *_: object) -> None:
        self._trail_on(request)
