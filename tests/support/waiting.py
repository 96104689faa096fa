"""`until`, the one way to wait for something in a test."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Awaitable, Callable

# What asking raises while a server is not up, or its answer lacks what is looked for.
NOT_YET = (OSError, ValueError, LookupError, TypeError)


def until(
    ask: Callable[[], Any],
    seconds: float = 10.0,
    what: str = "",
    *,
    good: Callable[[Any], object] = bool,
    every: float = 0.05,
    alive: subprocess.Popen | None = None,
) -> Any:
    """Return the first answer of `ask` that is good; by default the first true one.

    Args:
        ask: Asked again and again; see `NOT_YET` for what it may raise.
        seconds: How long, at most.
        what: What is waited for, for the failure.
        good: Whether an answer is it.
        every: Seconds between two questions.
        alive: A process without which there is nothing to wait for.

    Raises:
        AssertionError: In time there was none, or the process ended; with the last
            answer or error.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            last = ask()
            if good(last):
                return last
        except NOT_YET as error:
            last = error
        code = alive.poll() if alive else None
        assert code is None, _failure(what, f"its process ended with {code}", last)
        late = time.monotonic() > end
        assert not late, _failure(what, f"not within {seconds:g} s", last)
        time.sleep(every)


async def until_async(
    ask: Callable[[], Awaitable[Any]],
    seconds: float = 10.0,
    what: str = "",
    *,
    good: Callable[[Any], object] = bool,
    every: float = 0.02,
) -> Any:
    """Do the same where an event loop runs; nothing that `ask` raises is waited out."""
    end = time.monotonic() + seconds
    while not good(last := await ask()):
        late = time.monotonic() > end
        assert not late, _failure(what, f"not within {seconds:g} s", last)
        await asyncio.sleep(every)
    return last


def _failure(what: str, why: str, last: object) -> str:
    return f"{what or 'what is waited for'}: {why}; last: {last!r}"
