"""What this process is for: web, worker, command, or a test run that is not counted."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import PurePath
from typing import TYPE_CHECKING

from watchroom import conf
from watchroom.registry import forks
from watchroom.registry.guard import guarded
from watchroom.registry.process import PROCESS

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_TESTS = "WATCHROOM_IN_TESTS"
_MANAGE = frozenset({"manage.py", "django-admin", "django-admin.py"})


def in_tests() -> bool:
    """Return whether a test runner runs here; WATCHROOM_IN_TESTS=1 says count anyway.

    Django's test environment (its runner's, pytest-django's) is known by the outbox
    that it opens, pytest itself by being there.
    """
    if os.environ.get(IN_TESTS) == "1":
        return False
    mail = sys.modules.get("django.core.mail")
    return "pytest" in sys.modules or hasattr(mail, "outbox")


@guarded("registry")
def serve() -> None:
    """Show this process as a web process: its handler has been built.

    A management command that builds one may never serve (a shell with a test client),
    and uWSGI's master never does: they show themselves with the first request.
    """
    if in_tests():
        return
    if PROCESS.on:
        return
    PROCESS.building = forks.building_module()
    if _serves() and not forks.unpickled():
        PROCESS.start("web")
    else:
        PROCESS.waiting = True


def first_request() -> None:
    """Show this process now if it waits for its first request."""
    if PROCESS.waiting and not in_tests():
        PROCESS.start("web")


@guarded("registry")
def work() -> None:
    """Show this process as a worker."""
    if not in_tests() and not PROCESS.on:
        PROCESS.start("worker")


@guarded("registry")
def supervise(role: str) -> None:
    """Show this process as one that runs none of the app's work itself."""
    if not in_tests() and not PROCESS.on:
        PROCESS.start(role)


@contextmanager
def job() -> Iterator[None]:
    """Count what a management command does: its queries, cache calls and counters.

    Also a decorator: ``@watchroom.job()`` on a command's ``handle``.

    Example:
        >>> with watchroom.job():
        ...     send_reminders()
    """
    counting = not PROCESS.on and conf.enabled(os.environ) and not in_tests()
    if counting:
        _begin_job()
    try:
        yield
    finally:
        if counting:
            PROCESS.on = False


@guarded("registry")
def _begin_job() -> None:
    PROCESS.served = True  # its children aren't web workers, its file is kept
    PROCESS.start("command")


def _serves() -> bool:
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None:
        return bool(uwsgi.worker_id())
    if PurePath(sys.argv[0]).name in _MANAGE and len(sys.argv) > 1:
        return sys.argv[1].startswith("run")
    return True
