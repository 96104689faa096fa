"""The trace context through Celery: sent with the message, set where the task runs."""

from __future__ import annotations

import sys
from typing import Any

from watchroom.context.trace import CURRENT, current, of_task
from watchroom.logs import console, lines
from watchroom.registry.guard import guarded

REQUEST_ID = "watchroom_request_id"
TRACE_ID = "watchroom_trace_id"
_TRACE = "watchroom_trail"


def install() -> bool:
    """Follow tasks, if Celery is here already; asking again changes nothing."""
    signals = sys.modules.get("celery.signals")
    if signals is None:
        return False
    signals.before_task_publish.connect(_on_publish, weak=False)
    signals.task_prerun.connect(_on_begin, weak=False)
    signals.task_postrun.connect(_on_end, weak=False)
    keep_logging()
    return True


def keep_logging() -> None:
    """Keep Celery, if it is here already, off what writes the project's logs."""
    signals = sys.modules.get("celery.signals")
    if signals is not None and console.active():
        # If the signal has a receiver, Celery leaves the root logger and stdout alone.
        signals.setup_logging.connect(_on_logging, weak=False)


def _on_logging(**_: object) -> None:
    pass


def _on_publish(headers: Any = None, **_: object) -> None:
    _publish(headers)


def _on_begin(task_id: Any = None, task: Any = None, **_: object) -> None:
    _begin(task_id, task)


def _on_end(task: Any = None, state: Any = None, **_: object) -> None:
    _end(task, state)


@guarded("logs")
def _publish(headers: Any) -> None:
    trace = current()
    if trace is not None and isinstance(headers, dict):
        headers[REQUEST_ID] = trace.request_id
        headers[TRACE_ID] = trace.trace_id


@guarded("logs")
def _begin(task_id: Any, task: Any) -> None:
    request = vars(task.request)
    ids = {"request_id": request.get(REQUEST_ID), "trace_id": request.get(TRACE_ID)}
    above = current()
    if above is not None and ids["request_id"] is None:  # run on the spot
        ids = {"request_id": above.request_id, "trace_id": above.trace_id}
    trace = of_task(str(task_id), ids)
    trace.logged = console.active()
    tracking = sys.modules.get("watchroom.tracking")
    if tracking is not None and tracking.active():
        tracking.mark(trace)
    request[_TRACE] = (trace, CURRENT.set(trace))


@guarded("logs")
def _end(task: Any, state: Any) -> None:
    request = vars(task.request)
    entry = request.pop(_TRACE, None)
    if entry is None:
        return
    trace, token = entry
    try:
        if trace.logged:
            queue = (request.get("delivery_info") or {}).get("routing_key")
            more = {"queue": queue} if queue else {}
            retries = request.get("retries")
            more |= {"task_retries": retries} if retries else {}
            lines.task(trace, str(task.name), str(state), **more)
    finally:
        CURRENT.reset(token)
