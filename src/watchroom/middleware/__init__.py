"""The one outermost middleware, for WSGI and ASGI."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

from watchroom import conf
from watchroom.instrument import http
from watchroom.instrument.outcome import of_error
from watchroom.registry import roles

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from watchroom.health.views import Endpoint

# How the paths of watchroom.urls end: one look-up tells nearly all others apart, and
# what answers them is imported when the first of them comes.
PROBED = frozenset({"/livez", "readyz", "artupz", "health", "ealth/"})


def Middleware(get_response: Callable[[HttpRequest], Any]) -> Any:  # noqa: N802 - its name in MIDDLEWARE
    """Return the middleware that this project needs, so that it pays for no more.

    With WATCHROOM_ENABLED=0 in the environment it answers probes and nothing else.
    """
    if not conf.enabled(os.environ):
        from watchroom.health.early import HealthOnly

        return HealthOnly(get_response, PROBED)
    counting = Counting(get_response)
    if not _trails_wanted():
        return counting
    from watchroom.middleware.trailing import Trailing

    return Trailing(counting)


# What Django asks before it calls: the middleware takes requests as they come.
Middleware.sync_capable = True  # type: ignore[attr-defined]  # functions take any
Middleware.async_capable = True  # type: ignore[attr-defined]  # functions take any


class Counting:
    """Counts each request once, when its response has gone out, and changes none.

    Not a MiddlewareMixin: each of its hooks is a thread hop under ASGI, +657 µs per
    request in a peer (measured).

    Probes of watchroom.urls are answered here and not counted: a visitor's host check
    and TLS are not theirs, and they are no traffic.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        # Django reads the hook's kind from the function: an async one costs no thread.
        self.process_view: Callable[..., Any] = http.resolved
        if self.is_async:
            markcoroutinefunction(self)
            self.process_view = self._aresolved
        http.install()
        roles.serve()

    def __call__(
        self, request: HttpRequest
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer as the inner layers do."""
        if self.is_async:
            return self._acall(request)
        if request.path_info[-6:] in PROBED and (ours := _endpoint(request)):
            return ours(request)
        flight = http.begin(request)
        if flight is None:
            response: HttpResponseBase = self.get_response(request)
            return response
        request._watchroom_flight = flight  # type: ignore[attr-defined]  # ours  # noqa: SLF001
        try:
            response = self.get_response(request)
        except BaseException as error:  # a worker told to exit in mid-request too
            http.end(request, flight, of_error(request, error))
            raise
        if getattr(response, "streaming", False):
            http.end_with(request, response, flight)
        else:
            http.end(request, flight, response.status_code)
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info[-6:] in PROBED and (ours := _endpoint(request)):
            return await ours.acall(request)
        flight = http.begin(request)
        if flight is None:
            response: HttpResponseBase = await self.get_response(request)
            return response
        request._watchroom_flight = flight  # type: ignore[attr-defined]  # ours  # noqa: SLF001
        try:
            response = await self.get_response(request)
        except BaseException as error:
            http.end(request, flight, of_error(request, error))
            raise
        if getattr(response, "streaming", False):
            http.end_with(request, response, flight)
        else:
            http.end(request, flight, response.status_code)
        return response

    @staticmethod
    async def _aresolved(request: HttpRequest, *_: object) -> None:
        http.resolved(request)


def _endpoint(request: HttpRequest) -> Endpoint | None:
    """Return what answers a probe; None when it is for the project."""
    from watchroom.health.early import endpoint

    ours = endpoint(request)
    if ours is not None:
        request._watchroom_probe = True  # type: ignore[attr-defined]  # ours  # noqa: SLF001
        http.probed()
    return ours


def _trails_wanted() -> bool:
    """Return whether watchroom writes the project's logs or reports its errors."""
    tracking = sys.modules.get("watchroom.tracking")
    if tracking is not None:
        tracking.tell_if_off()
        if tracking.active():
            return True
    console = sys.modules.get("watchroom.logs.console")
    return console is not None and console.active()
