"""The trace context of one request or task: its ids, and counts of its work.

A context variable carries it: through threads that asgiref starts, and through tasks of
asyncio, which all share the one object.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from os import urandom
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# An id from outside is taken only if it is a plain word.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# W3C Trace Context: version, trace, parent span, flags; later versions may add more.
_TRACEPARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.{1,256})?"
)
_ZEROS = "0" * 32


class TraceContext:
    """One request or task in progress.

    Attributes:
        request_id: Of the request, or of the request that a task stems from.
        trace_id: 32 hexadecimal digits.
        task_id: Of the task, or an empty text.
        start: `time.perf_counter` when it began.
        queries: Database queries so far.
        query_seconds: What they took.
        hits: Cache keys found.
        misses: Cache keys not found.
        logged: Whether it gets a line of its own, so that Django's is left out.
        exc_info: The exception in Django's record, for that line.
        tail: The end of its log lines: the schema's name, and bytes.
    """

    __slots__ = (
        "exc_info",
        "hits",
        "logged",
        "misses",
        "queries",
        "query_seconds",
        "request_id",
        "start",
        "tail",
        "task_id",
        "trace_id",
    )

    def __init__(self, request_id: str, trace_id: str, task_id: str = "") -> None:
        self.request_id = request_id
        self.trace_id = trace_id
        self.task_id = task_id
        self.queries = self.hits = self.misses = 0
        self.query_seconds = 0.0
        self.logged = False
        self.exc_info: Any = None
        self.tail: tuple[str, bytes] | None = None
        self.start = perf_counter()


CURRENT: ContextVar[TraceContext | None] = ContextVar("watchroom_trace", default=None)
current = CURRENT.get


def of_request(meta: Mapping[str, Any]) -> TraceContext:
    """Return the context of a request, with the ids that it came with or new ones."""
    new_id = urandom(16).hex()
    header, parent = meta.get("HTTP_X_REQUEST_ID"), meta.get("HTTP_TRACEPARENT")
    if header is None and parent is None:
        return TraceContext(new_id, new_id)
    return TraceContext(request_id(header) or new_id, trace_id(parent) or new_id)


def of_task(task_id: str, parent: Mapping[str, Any]) -> TraceContext:
    """Return the context of a task: its publisher's, or a new one."""
    trace = parent.get("trace_id")
    valid = isinstance(trace, str) and re.fullmatch(r"[0-9a-f]{32}", trace)
    return TraceContext(
        request_id(parent.get("request_id"))
        or request_id(task_id)
        or urandom(16).hex(),
        trace if valid else urandom(16).hex(),  # type: ignore[arg-type]  # a str then
        task_id,
    )


def request_id(value: object) -> str | None:
    """Return an X-Request-ID from outside if it is a plain word."""
    if isinstance(value, str) and _REQUEST_ID.fullmatch(value):
        return value
    return None


def trace_id(parent: object) -> str | None:
    """Return the trace of a W3C ``traceparent``, or None when it is not one."""
    if not isinstance(parent, str) or len(parent) > 512:
        return None
    match = _TRACEPARENT.fullmatch(parent.strip())
    if match is None or match[2] == _ZEROS or match[3] == _ZEROS[:16]:
        return None
    if match[1] == "00" and match[4]:
        return None
    return match[2]
