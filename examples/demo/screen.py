"""The terminal: lines of the story, a live summary below them, and keys."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import sys
import termios
import time
import tty
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_INDENT = 21  # where the text of a line begins


class Screen:
    """Prints the story; on a terminal the numbers stay on the last line."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._start = time.monotonic()
        self._shown = 0.0

    def say(self, what: str, text: str, end: str = "\n") -> None:
        """Print one thing that came true: a word, and what it means."""
        clock = f"{time.monotonic() - self._start:6.1f} s"
        shown = text.replace("\n", f"\n{'':{_INDENT}}")
        if self._live:
            shown = f"\r\x1b[2K{clock}  \x1b[1m{what:<9}\x1b[0m  {shown}"
        else:
            shown = f"{clock}  {what:<9}  {shown}"
        print(shown, end=end, flush=True)

    def summary(self, numbers: Callable[[], str]) -> None:
        """Show the numbers: each second on a terminal, each five elsewhere."""
        if time.monotonic() - self._shown < (1 if self._live else 5):
            return
        # A line that wraps could not be wiped.
        wide = shutil.get_terminal_size().columns - _INDENT - 1
        self.say("now", numbers()[:wide], end="\r" if self._live else "\n")
        self._shown = time.monotonic()


@contextlib.contextmanager
def keys() -> Iterator[Callable[[], str]]:
    """Yield what returns the keys pressed since its last call, without Enter or echo.

    Without a terminal, and in the background, where touching it would stop the
    process, there are no keys.
    """
    ours = False
    with contextlib.suppress(OSError):
        ours = os.tcgetpgrp(0) == os.getpgrp()
    if not ours:
        yield str
        return
    before = termios.tcgetattr(0)
    tty.setcbreak(0)

    def pressed() -> str:
        with contextlib.suppress(OSError):  # the terminal is gone; SIGHUP says so
            if select.select([0], [], [], 0)[0]:
                return os.read(0, 256).decode(errors="replace")
        return ""

    try:
        yield pressed
    finally:
        # A key that nobody asked for is not for the shell. Nothing that waits for the
        # output to drain: the terminal may be gone.
        termios.tcflush(0, termios.TCIFLUSH)
        termios.tcsetattr(0, termios.TCSANOW, before)
