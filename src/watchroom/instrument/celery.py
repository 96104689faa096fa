"""Celery's processes: which of them are workers."""

from __future__ import annotations

import sys

from watchroom.registry import roles
from watchroom.registry.process import PROCESS


def install() -> None:
    """Show the processes that run tasks, if Celery is here already.

    Nothing is imported to find out: a web process without Celery must not pay for it.
    """
    signals = sys.modules.get("celery.signals")
    if signals is None:
        return
    signals.worker_process_init.connect(_on_child, weak=False)
    signals.worker_ready.connect(_on_ready, weak=False)


def _on_child(**_: object) -> None:
    roles.work()


def _on_ready(sender: object = None, **_: object) -> None:
    # A prefork main process runs no task; its children show themselves.
    pool = getattr(sender, "pool", None)
    if "prefork" not in type(pool).__module__:
        PROCESS.served = True
        roles.work()
