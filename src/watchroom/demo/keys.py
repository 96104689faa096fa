"""Keys pressed on the terminal, without waiting for Enter and without an echo."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def keys() -> Iterator[Callable[[], str]]:
    """Yield a function that returns what was pressed since it was last called.

    Where nobody can press a key - no terminal, or the demo runs in the background - it
    always returns nothing. The terminal is as before when the block ends.
    """
    if not _ours():
        yield lambda: ""
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield lambda: _pressed(descriptor)
    finally:
        # A key that nobody asked for is not for the shell. Nothing that waits for the
        # output to drain: the terminal may be gone.
        termios.tcflush(descriptor, termios.TCIFLUSH)
        termios.tcsetattr(descriptor, termios.TCSANOW, before)


def _ours() -> bool:
    # A background job that touches its terminal is stopped by the kernel (SIGTTOU).
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False


def _pressed(descriptor: int) -> str:
    if not select.select([descriptor], [], [], 0)[0]:
        return ""
    try:
        return os.read(descriptor, 256).decode(errors="replace")
    except OSError:
        return ""  # the terminal is gone; SIGHUP says so
