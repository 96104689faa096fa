"""What code costs, however busy the machine is."""

from __future__ import annotations

import contextlib
import time


@contextlib.contextmanager
def at_most(seconds):
    """Hold the block to so many seconds of this thread's processor time.

    A clock on the wall counts what others did in the meantime.
    """
    begun = time.thread_time()
    yield
    spent = time.thread_time() - begun
    assert spent < seconds, f"{spent:.2f} s of processor time, {seconds:g} s at most"
