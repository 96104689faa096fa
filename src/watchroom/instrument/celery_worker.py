"""What a worker's tasks come to: failed, succeeded, retried, and how long they ran.

From signals, in whichever process has the news: a pool's child for what a task did, the
main process for a task whose child was killed, by a time limit or by the kernel. What
no signal says of that, `celery_runs` does.
Labels are names of registered tasks and two words for messages without one; Celery's
own tasks are left out.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any

from watchroom.catalogue.metrics import (
    TASK_RUNTIME,
    TASKS_FAILED,
    TASKS_RETRIED,
    TASKS_SUCCEEDED,
)
from watchroom.instrument import celery_beat, celery_runs
from watchroom.registry.guard import fault
from watchroom.registry.process import PROCESS, add, observe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from watchroom.catalogue.metrics import Metric

# Messages that no task can be made of: lost work, and nobody else says so.
UNREGISTERED, UNREADABLE = "unregistered", "unreadable"
_OWN = "celery."
_BEGUN = "_watchroom_begun"
# Whose end was counted last in this context.
_counted_id: ContextVar[str] = ContextVar("watchroom_task_told", default="")


def install() -> None:
    """Listen to the signals of tasks; once per process, however often it is asked."""
    signals = sys.modules["celery.signals"]
    for name, receiver in (
        ("task_prerun", _on_prerun),
        ("task_postrun", _on_postrun),
        ("task_success", _on_success),
        ("task_failure", _on_failure),
        ("task_internal_error", _on_failure),
        ("task_retry", _on_retry),
        ("task_unknown", _on_unknown),
        ("task_rejected", _on_rejected),
        ("task_received", _on_received),
    ):
        getattr(signals, name).connect(
            _guarded(receiver), weak=False, dispatch_uid=f"watchroom.{name}"
        )


def show(consumer: Any) -> None:
    """Show every registered task at 0: the first failure must be an increase."""
    for name in _names(consumer):
        for metric in (TASKS_FAILED, TASKS_SUCCEEDED, TASKS_RETRIED):
            PROCESS.cell(metric, (name,))
    for name in (UNREGISTERED, UNREADABLE):
        PROCESS.cell(TASKS_FAILED, (name,))


def _names(consumer: Any) -> Iterator[str]:
    for name in consumer.app.tasks:
        if not name.startswith(_OWN):
            yield name


def _guarded(receiver: Callable[..., None]) -> Callable[..., None]:
    def call(sender: Any = None, **kwargs: Any) -> None:
        try:
            if PROCESS.on:
                receiver(sender, kwargs)
        except Exception:  # noqa: BLE001 - the task's result comes first
            fault("celery")

    return call


def _on_prerun(task: Any, kwargs: dict[str, Any]) -> None:
    del kwargs
    now = perf_counter()
    if now >= PROCESS.next_check:
        PROCESS.check(now)
    PROCESS.served = True
    _counted_id.set("")
    request = task.request
    setattr(request, _BEGUN, now)
    celery_beat.begun(request)


def _on_postrun(task: Any, kwargs: dict[str, Any]) -> None:
    del kwargs
    begun = getattr(task.request, _BEGUN, None)
    if begun is None or task.name.startswith(_OWN):
        return
    cells = PROCESS.cells.get((TASK_RUNTIME, task.name))
    if cells is None:
        view, at = PROCESS.cell(TASK_RUNTIME, (task.name,))
        cells = (view, at, PROCESS.edges(TASK_RUNTIME))
        PROCESS.remember((TASK_RUNTIME, task.name), cells)
    view, at, edges = cells
    observe(view, at, edges, perf_counter() - begun)


def _on_success(task: Any, kwargs: dict[str, Any]) -> None:
    del kwargs
    _counted_id.set(str(task.request.id))
    _count(TASKS_SUCCEEDED, task.name)


def _on_failure(task: Any, kwargs: dict[str, Any]) -> None:
    # Also of what Celery itself fails at, such as storing the result; then it says so
    # twice, and perhaps after it has told of a success.
    task_id = str(kwargs.get("task_id"))
    run = celery_runs.ENDING.get()
    if run is not None:
        if run.counted:
            return
        run.counted = True
    elif task_id == _counted_id.get():
        return
    _counted_id.set(task_id)
    _count(TASKS_FAILED, task.name)


def _on_received(consumer: Any, kwargs: dict[str, Any]) -> None:
    del consumer
    celery_runs.follow(kwargs["request"], _on_lost)


def _on_lost(name: str) -> None:
    _count(TASKS_FAILED, name)


def _on_retry(task: Any, kwargs: dict[str, Any]) -> None:
    del kwargs
    run = celery_runs.ENDING.get()
    if run is not None:  # the main process publishes it again: its process was lost
        run.again = True
    _counted_id.set(str(task.request.id))
    _count(TASKS_RETRIED, task.name)


def _on_unknown(consumer: Any, kwargs: dict[str, Any]) -> None:
    del consumer, kwargs
    _count(TASKS_FAILED, UNREGISTERED)


def _on_rejected(consumer: Any, kwargs: dict[str, Any]) -> None:
    del consumer, kwargs
    _count(TASKS_FAILED, UNREADABLE)


def _count(metric: Metric, name: str) -> None:
    if name.startswith(_OWN):
        return
    key = (metric.name, name)
    cell = PROCESS.cells.get(key)
    if cell is None:
        cell = PROCESS.cell(metric, (name,))
        PROCESS.remember(key, cell)
    view, at = cell
    add(view, at, 1.0)
