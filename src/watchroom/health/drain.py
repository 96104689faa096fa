"""Knows that this process was asked to end, so that /readyz reports it in time.

The handler is set by the first /readyz of a process, and calls the server's own: who
does not ask for readiness has no handler of ours. Server's handlers come and go until
then (gunicorn sets its own after a fork, its uvicorn worker after loading the app).
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TERM = signal.SIGTERM


class Drain:
    """The end of this process, as SIGTERM announces it.

    Args:
        delay: Returns the seconds between the signal and the server's own handler.
    """

    def __init__(self, delay: Callable[[], float]) -> None:
        self._delay = delay
        self._pid = 0
        self._signalled = False
        self._expired = False
        self._chained: Any = None
        self._callback: Any = None

    def watch(self) -> bool:
        """Return whether the process was asked to end; watch for it from now on."""
        if self._pid != os.getpid():
            self._signalled = self._expired = False
            self._pid = os.getpid()
            if threading.current_thread() is threading.main_thread():
                self._install()
            else:
                self._install_later()
        return self._signalled

    def _install(self) -> None:
        before = signal.getsignal(TERM)
        # None: a handler in C, which cannot be called from here.
        if before is None or before == self._on_signal or before is signal.SIG_IGN:
            return
        self._chained = before
        signal.signal(TERM, self._on_signal)
        if _is_gunicorns(before):
            # As gunicorn has it: signal() has just taken it back.
            signal.siginterrupt(TERM, False)

    def _install_later(self) -> None:
        """Have the main thread do it: only it may set a handler."""
        import ctypes

        def call(_: object) -> int:
            with suppress(Exception):
                self._install()
            return 0

        callback_type = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
        self._callback = callback_type(call)  # kept alive until it is called
        ctypes.pythonapi.Py_AddPendingCall(self._callback, None)

    def _on_signal(self, number: int, frame: Any) -> None:
        own_process = self._pid == os.getpid()  # not a child that inherited the handler
        if own_process and not self._signalled:
            self._signalled = True
            if (delay := self._delay()) > 0:
                # Not threading's: it takes locks that this thread may hold right now.
                _thread.start_new_thread(self._expire, (delay,))
                return
            self._expired = True
        if not own_process or self._expired:
            self._pass_on(number, frame)

    def _expire(self, delay: float) -> None:
        time.sleep(delay)
        self._expired = True
        os.kill(os.getpid(), TERM)

    def _pass_on(self, number: int, frame: Any) -> None:
        if callable(self._chained):
            self._chained(number, frame)
        else:
            signal.signal(TERM, signal.SIG_DFL)
            os.kill(os.getpid(), TERM)


def _is_gunicorns(handler: object) -> bool:
    base = sys.modules.get("gunicorn.workers.base")
    owner = getattr(handler, "__self__", None)
    return base is not None and isinstance(owner, base.Worker)
