"""Celery's processes: publishers, workers, beat.

Only what a publisher needs is here, and nothing is imported to find out whether Celery
is used: a web process without it must not pay. What tasks do is counted from the
signals of the worker's own processes, so that nobody has to switch events on; see
`celery_worker`. What beat sends is noted by `celery_beat`.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from watchroom.registry import roles
from watchroom.registry.guard import fault, guarded
from watchroom.registry.process import PROCESS, SUPERVISOR

# The header that says when a message was published: its age while it waits.
PUBLISHED = "watchroom_published"


def install() -> None:
    """Listen to Celery's signals, if Celery is here already.

    It is in every process that imports the project's Celery app from its root package,
    as Celery's own guide says to.
    """
    signals = sys.modules.get("celery.signals")
    if signals is None:
        return
    for signal, receiver in (
        (signals.before_task_publish, _on_publish),
        (signals.worker_init, _on_worker),
        (signals.worker_process_init, _on_child),
        (signals.worker_ready, _on_ready),
        (signals.beat_init, _on_beat),
    ):
        signal.connect(
            receiver, weak=False, dispatch_uid=f"watchroom.{receiver.__name__}"
        )


def _on_publish(headers: Any = None, **_: object) -> None:
    try:
        if headers is not None:
            headers[PUBLISHED] = round(time.time(), 3)
    except Exception:  # noqa: BLE001 - the guard, written out: signals have keywords
        fault("celery")


def _on_worker(**_: object) -> None:
    # Before any tracer is built: a tracer asks once who listens.
    _count_tasks()


def _on_child(**_: object) -> None:
    _count_tasks()  # a child that was spawned has heard nothing yet
    roles.work()


def _on_ready(sender: object = None, **_: object) -> None:
    # A prefork main process runs no task: its children show themselves. But it is the
    # one that learns of a task whose process was killed.
    pool = getattr(sender, "pool", None)
    PROCESS.served = True
    if "prefork" in type(pool).__module__:
        roles.supervise(SUPERVISOR)
    else:
        roles.work()
    _show_tasks(sender)


def _on_beat(sender: object = None, **_: object) -> None:
    _watch_beat(sender)


@guarded("celery")
def _count_tasks() -> None:
    from watchroom.instrument import celery_worker

    celery_worker.install()


@guarded("celery")
def _show_tasks(consumer: object) -> None:
    from watchroom.instrument import celery_worker

    celery_worker.show(consumer)


@guarded("celery")
def _watch_beat(service: object) -> None:
    from watchroom.instrument import celery_beat

    celery_beat.watch(service)
