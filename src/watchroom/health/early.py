"""Health answered before everything else that a request meets.

A prober of a process knows neither its host names nor its certificate, and must not
wait for a session or a database: host checks, redirects to TLS and the middleware of
the project are for visitors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.urls import Resolver404, get_urlconf, resolve

from watchroom.health.views import Endpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

_MOST = 64
_FOUND: dict[tuple[object, str], Endpoint] = {}


def endpoint(request: HttpRequest) -> Endpoint | None:
    """Return what answers this request early: nothing, unless the URLs include us.

    Asked of the URLconf, so that a project's own ``/health/`` stays its own, and ours
    are found under a prefix too.
    """
    key = (get_urlconf(), request.path_info)
    cached = _FOUND.get(key)
    if cached is not None:
        return cached
    try:
        view = resolve(request.path_info).func
    except Resolver404:
        return None
    if not isinstance(view, Endpoint):
        return None
    if len(_FOUND) < _MOST:
        _FOUND[key] = view
    return view


class HealthOnly:
    """What is left of the middleware when the environment switches watchroom off.

    The switch must not send every probe into the host check and so kill the processes
    that it was meant to help.
    """

    def __init__(
        self, get_response: Callable[[HttpRequest], Any], ends: frozenset[str]
    ) -> None:
        self.get_response = get_response
        self.ends = ends
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(
        self, request: HttpRequest
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer probes, and nothing else."""
        if request.path_info[-6:] in self.ends and (
            health_endpoint := endpoint(request)
        ):
            return (
                health_endpoint.acall(request)
                if self.is_async
                else health_endpoint(request)
            )
        response: HttpResponseBase | Awaitable[HttpResponseBase]
        response = self.get_response(request)
        return response
