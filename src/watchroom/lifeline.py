"""A child that must not outlive its parent, however the parent ends (Linux)."""

from __future__ import annotations

import signal

_PR_SET_PDEATHSIG = 1


def die_with_parent(number: int = signal.SIGTERM) -> None:
    """Have the kernel send `number` to this process when its parent's thread ends.

    Meant for the child: first thing in its own program, or as ``preexec_fn``. Where
    there is no prctl it does nothing. Source: prctl(2), PR_SET_PDEATHSIG.
    """
    try:
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        return
