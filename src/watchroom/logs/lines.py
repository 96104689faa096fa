"""The one log line of each request, and of each task."""

from __future__ import annotations

import logging
from time import perf_counter
from typing import TYPE_CHECKING, Any

from watchroom.context import route
from watchroom.logs.schemas import LINE
from watchroom.redact import shapes
from watchroom.redact.walk import REDACTED

if TYPE_CHECKING:
    from django.http import HttpRequest

    from watchroom.context.trace import TraceContext

REQUESTS = logging.getLogger("watchroom.request")
TASKS = logging.getLogger("watchroom.task")
_UNRESOLVED = "unresolved"
_STATES = {"SUCCESS": logging.INFO, "IGNORED": logging.INFO, "FAILURE": logging.ERROR}


def request(trace: TraceContext, request: HttpRequest, status: int) -> None:
    """Log a request that has been answered."""
    seconds = perf_counter() - trace.start
    if status < 400:
        level = logging.INFO
    else:
        level = logging.WARNING if status < 500 else logging.ERROR
    path = request.path_info
    if (status < 400 or status == 503) and (
        path in route.QUIET or "_watchroom_probe" in request.__dict__
    ):
        return
    if not REQUESTS.isEnabledFor(level):
        return
    match = request.resolver_match
    name = _UNRESOLVED if match is None else match.route or "/"
    method, duration = request.method or "", round(seconds * 1000, 3)
    fields: dict[str, Any] = {
        "method": method,
        "route": name,
        "status": status,
        "duration_ms": duration,
    }
    if match is None:  # a path that has a route may hold an id, or a secret
        fields["path"] = _path(path, status)[:512]
    _with_tallies(fields, trace)
    user = _user_id(request)
    if user is not None:
        fields["user_id"] = user
    shown_route = name if match is None else route.written(name)
    _log(REQUESTS, level, f"{method} {shown_route} {status}", fields, trace)


def task(trace: TraceContext, name: str, state: str, **more: object) -> None:
    """Log a task that has ended."""
    seconds = perf_counter() - trace.start
    level = _STATES.get(state, logging.WARNING)
    if not TASKS.isEnabledFor(level):
        return
    fields: dict[str, Any] = {
        "task_name": name,
        "task_state": state,
        "duration_ms": round(seconds * 1000, 3),
        **more,
    }
    _with_tallies(fields, trace)
    _log(TASKS, level, f"{name} {state}", fields, trace)


def _path(path: str, status: int) -> str:
    """Return the path of a request that was answered before its view was looked for."""
    # After a 404 it was looked for, and not found.
    pattern = None if status == 404 else route.of(path)
    if pattern is None:
        return shapes.path(path[:512], REDACTED)
    return route.written(pattern)


def _with_tallies(fields: dict[str, Any], trace: TraceContext) -> None:
    fields["db_count"] = trace.queries
    fields["db_ms"] = round(trace.query_seconds * 1000, 3)
    if trace.hits or trace.misses:
        fields["cache_hits"] = trace.hits
        fields["cache_misses"] = trace.misses


def _log(
    logger: logging.Logger,
    level: int,
    message: str,
    fields: dict[str, Any],
    trace: TraceContext,
) -> None:
    # Made by hand: a logger would look for the line of code that called it.
    record = logging.getLogRecordFactory()(
        logger.name, level, "", 0, message, None, trace.exc_info
    )
    record.__dict__[LINE] = fields
    trace.exc_info = None
    logger.handle(record)


def _user_id(request: HttpRequest) -> str | None:
    """Return the key of who is known to ask; looking must not load a session."""
    known = request.__dict__
    user = known.get("_cached_user", known.get("_acached_user"))
    if user is None and "user" in known:
        user = known["user"]
        user = vars(user).get("_wrapped", user)  # where a lazy one keeps what it loaded
    key = getattr(user, "pk", None)
    return None if key is None else str(key)
