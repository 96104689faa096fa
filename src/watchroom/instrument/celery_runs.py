"""Runs under way, as the process that hands them out knows them, and their losses.

A task's own process counts what the task did. That the process was killed only the
worker's main process learns, and Celery does not signal it when it puts the message
back; that all of them were killed nobody learns. So a worker holds each accepted run in
a slot of its file, as requests are held (`formats.slots`): what a dead worker still
held the exporter adds to the failures. A loss that the main process survives is counted
here, once a run, whichever of Celery's callbacks and signals report it.

Followed through the request that ``task_received`` passes: its class is made for one
task of one worker, so wrapping the callbacks that Celery documents touches no other.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any

from watchroom.catalogue.metrics import TASKS_IN_FLIGHT
from watchroom.registry.guard import guarded
from watchroom.registry.process import PROCESS, add

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from watchroom.runtime.slots import Cell

    Method = Callable[..., Any]

IN_FLIGHT = TASKS_IN_FLIGHT._replace(
    kind="inflight", labels=("name",), open_labels=("name",)
)
_RUN, _FOLLOWED = "_watchroom_run", "_watchroom_followed"
# By name: the classes are billiard's, and a worker may run without it.
_LOSSES = frozenset({"WorkerLostError", "TimeLimitExceeded"})
# Of Celery from 5.7 on: the news of an exit, which it makes a WorkerLostError.
_EXITS = (SystemExit, KeyboardInterrupt)


class TaskRun:
    """One run of a task, from when a pool accepted it.

    Attributes:
        cell: Where it is counted as in flight, or None.
        counted: Whether its failure, or other end, is counted.
        again: Whether Celery put its message back, or published another.
    """

    __slots__ = ("again", "cell", "counted")

    def __init__(self) -> None:
        self.cell: Cell | None = None
        self.counted = self.again = False


# Whose end the main process hears of just now.
ENDING: ContextVar[TaskRun | None] = ContextVar("watchroom_run", default=None)


@guarded("celery")
def follow(request: Any, on_lost: Callable[[str], None]) -> None:
    """Follow the runs of a request's task.

    Args:
        request: Celery's, of a message that the worker received.
        on_lost: Called with the task's name for a loss that no signal reports.
    """
    kind = type(request)
    if _FOLLOWED in vars(kind):
        return
    setattr(kind, _FOLLOWED, True)
    for name, wrapped in (
        ("on_accepted", _accepted),
        ("reject", _rejected),
    ):
        setattr(kind, name, wrapped(getattr(kind, name)))
    kind.on_success = _returned(kind.on_success, on_lost)
    kind.on_timeout = _timed_out(kind.on_timeout, on_lost)
    kind.on_failure = _failed(kind.on_failure, on_lost)


def _accepted(method: Method) -> Method:
    @wraps(method)
    def on_accepted(request: Any, *args: Any, **more: Any) -> Any:
        _begin(request)
        return method(request, *args, **more)

    return on_accepted


def _returned(method: Method, on_lost: Callable[[str], None]) -> Method:
    @wraps(method)
    def on_success(request: Any, result: Any, *args: Any, **more: Any) -> Any:
        with _settling(request) as run:
            # The task's own process counted this, except what only this process learns.
            run.counted = isinstance(result, tuple) and not _refused(result)
            try:
                return method(request, result, *args, **more)
            finally:
                if not isinstance(result, tuple):  # it left by an exit, with no result
                    _count_lost(request, run, on_lost)

    return on_success


def _rejected(method: Method) -> Method:
    @wraps(method)
    def reject(request: Any, *args: Any, **more: Any) -> Any:
        run = ENDING.get()
        if run is not None and (args[0] if args else more.get("requeue")):
            run.again = True
        return method(request, *args, **more)

    return reject


def _timed_out(method: Method, on_lost: Callable[[str], None]) -> Method:
    @wraps(method)
    def on_timeout(request: Any, soft: Any, *args: Any, **more: Any) -> Any:
        if soft:
            return method(request, soft, *args, **more)
        with _settling(request) as run:
            try:
                return method(request, soft, *args, **more)
            finally:
                _count_lost(request, run, on_lost)

    return on_timeout


def _failed(method: Method, on_lost: Callable[[str], None]) -> Method:
    @wraps(method)
    def on_failure(request: Any, info: Any, *args: Any, **more: Any) -> Any:
        with _settling(request) as run:
            try:
                return method(request, info, *args, **more)
            except BaseException:
                run.again = True  # it could not store the failure, and signals none
                raise
            finally:
                # Not where Celery finds that the task had stored a result before.
                if run.again and _lost(info):
                    _count_lost(request, run, on_lost)

    return on_failure


@guarded("celery")
def _begin(request: Any) -> None:
    now = perf_counter()
    if now >= PROCESS.next_check:
        PROCESS.check(now)
    name = str(request.name)
    if not PROCESS.on or name.startswith("celery.") or _RUN in vars(request):
        return
    key = (IN_FLIGHT, name)
    cell: Cell | None = PROCESS.cells.get(key)
    if cell is None:
        cell = PROCESS.cell(IN_FLIGHT, (name,))
        PROCESS.remember(key, cell)
    run = TaskRun()
    run.cell = cell
    setattr(request, _RUN, run)
    add(*cell, 1.0)


@contextmanager
def _settling(request: Any) -> Iterator[TaskRun]:
    """Have a run be the one whose end is heard of, and hold it no more after that."""
    run = vars(request).get(_RUN)
    if run is None:  # never accepted, or accepted before we were connected
        run = TaskRun()
        setattr(request, _RUN, run)
    token = ENDING.set(run)
    try:
        yield run
    finally:
        ENDING.reset(token)
        _land(run)


@guarded("celery")
def _land(run: TaskRun) -> None:
    cell, run.cell = run.cell, None
    if cell is not None:
        add(*cell, -1.0)


@guarded("celery")
def _count_lost(request: Any, run: TaskRun, on_lost: Callable[[str], None]) -> None:
    if not run.counted:
        run.counted = True
        if PROCESS.on:
            on_lost(str(request.name))


def _lost(info: Any) -> bool:
    error = _error(info)
    return type(error).__name__ in _LOSSES or isinstance(error, _EXITS)


def _refused(result: tuple[Any, ...]) -> bool:
    """Return whether the task rejected its message: its process sent no signal."""
    return bool(result[0]) and type(_error(result[1])).__name__ == "Reject"


def _error(info: Any) -> Any:
    error = getattr(info, "exception", info)
    return getattr(error, "exc", error)  # as billiard wraps it for the way between
