"""What a request came to that ended in an exception."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.http import HttpRequest

# What nginx logs for a client that went away; not a 5xx, so it pages nobody.
GONE = 499
BROKEN = 500


def of_error(request: HttpRequest, error: BaseException) -> int:
    """Return the status that counts for a request that ended in an exception.

    A client that goes away has its request's task cancelled, which only ASGI can. A
    cancellation that nobody asked for is a failure like any other: the view waited for
    a task of its own that had been cancelled, and the server answers 500.
    """
    if not isinstance(error, asyncio.CancelledError) or not hasattr(request, "scope"):
        return BROKEN
    try:
        task = asyncio.current_task()
    except RuntimeError:  # in a thread, below a synchronous middleware
        return GONE
    return GONE if task is None or task.cancelling() else BROKEN
