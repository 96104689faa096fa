"""Which entries of the schedule were published, and which of them a worker began.

Beat believes an entry done when it is about to send it, also when the broker refuses.
So the two facts that count are noted where they happen: here when the message is out,
and in the worker when its task begins. The message carries the entry's name and when it
was published, through retries too.
"""

from __future__ import annotations

import sys
import threading
import time
from contextvars import ContextVar
from typing import Any

from watchroom import conf
from watchroom.registry import roles
from watchroom.registry.guard import fault, guarded
from watchroom.registry.process import PROCESS
from watchroom.runtime import runs

BEAT = "beat"
# The header: a pair of the entry's name and when it was published.
ENTRY = "watchroom_entry"
_sending: ContextVar[str] = ContextVar("watchroom_entry", default="")
# A header comes from outside: it must not fill the runtime directory.
_WINDOW_SECONDS = 3600.0


def watch(service: Any) -> None:
    """Note what this beat sends; `service` is Celery's beat, about to tick."""
    if threading.current_thread() is threading.main_thread():
        # Beat inside of a worker is a thread there, and that process a worker.
        roles.supervise(BEAT)
    scheduler = service.scheduler
    send = scheduler.apply_async

    def apply_async(entry: Any, *args: Any, **options: Any) -> Any:
        token = _sending.set(str(getattr(entry, "name", "")))
        try:
            result = send(entry, *args, **options)
            _published(_sending.get())
            return result
        finally:
            _sending.reset(token)

    scheduler.apply_async = apply_async
    sys.modules["celery.signals"].before_task_publish.connect(
        _on_publish, weak=False, dispatch_uid="watchroom.beat"
    )


def begun(request: Any) -> None:
    """Note that a worker runs what an entry published; ignore other tasks."""
    pair = request.get(ENTRY)
    if pair is None:
        return
    entry, at = pair
    noted: tuple[float, set[str]] = PROCESS.cells.get(BEAT) or (0.0, set())
    now = time.monotonic()
    if now - noted[0] > _WINDOW_SECONDS:
        noted = now, set()
        PROCESS.cells[BEAT] = noted
    if entry in noted[1] or len(noted[1]) < runs.MOST_ENTRIES:
        noted[1].add(entry)
        _note(runs.BEGUN, runs.Run(str(entry), float(at)))


def _on_publish(headers: Any = None, **_: object) -> None:
    try:
        entry = _sending.get()
        if entry and headers is not None:
            headers[ENTRY] = [entry, round(time.time(), 3)]
    except Exception:  # noqa: BLE001 - the guard, written out: signals have keywords
        fault("celery")


@guarded("celery")
def _published(entry: str) -> None:
    if entry:
        _note(runs.PUBLISHED, runs.Run(entry, round(time.time(), 3)))


def _note(kind: str, run: runs.Run) -> None:
    if roles.in_tests():
        return
    settings = PROCESS.settings()
    where = runs.directory(conf.runtime_dir(settings), settings.name)
    runs.note(where, kind, run)
