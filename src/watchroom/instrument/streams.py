"""A streamed body, followed to its end, which is noted once however it comes.

A server closes a response that it has sent, and Django does not close one whose body
raised under ASGI, nor one that nobody waits for any more. So the body's iterator is
wrapped: what it raises is noted there, and a body that is thrown away unclosed is noted
when Python throws it away.
"""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from os import getpid
from typing import TYPE_CHECKING, Any

from watchroom.instrument.outcome import BROKEN, GONE, of_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from django.http import HttpRequest

    Listener = Callable[[int, BaseException | None], None]

# Of a file that was being sent; any other OSError there is the connection's.
_OF_FILES = frozenset((errno.EIO, errno.ESTALE))


class Stream:
    """One streamed response in flight; calls its listeners once, at its end.

    A listener is given the status that counts and what was raised, or None.
    """

    __slots__ = ("_begun", "_ended", "_listeners", "_pid", "_request", "_status")

    def __init__(self, request: HttpRequest, status: int) -> None:
        self._request = request
        self._status = status
        self._listeners: list[Listener] = []
        self._pid = getpid()
        self._begun = self._ended = False

    def follow(self, response: Any, listener: Listener) -> None:
        """Have a listener called at the end; the first one wraps the body."""
        self._listeners.append(listener)
        if len(self._listeners) > 1:
            return
        response._resource_closers.append(self.close)  # noqa: SLF001 - as Django's own files
        parts = getattr(response, "_iterator", None)
        if parts is not None:
            kind = _AsyncParts if getattr(response, "is_async", False) else _Parts
            response._iterator = kind(parts, self)  # noqa: SLF001 - Django has no hook here

    def begin(self) -> None:
        """Note that iteration of the body has begun."""
        self._begun = True

    def close(self) -> None:
        """Note that the response was closed: sent in full, or the client left."""
        error = None if self._begun else sys.exc_info()[1]
        if isinstance(error, Exception) and _of_the_body(error):
            self.broke(error)  # a server's file wrapper took the file past our iterator
        else:
            self._end(self._status, None)

    def broke(self, error: BaseException) -> None:
        """Note what the body raised: a failure, whatever status went before it."""
        status = of_error(self._request, error)
        if status == GONE:  # the client took what it wanted of a good answer
            self._end(self._status, None)
        else:
            self._end(max(self._status, BROKEN), error)

    def __del__(self) -> None:
        """Note the end of a body that was thrown away: its client has gone."""
        with suppress(Exception):
            if not self._ended and self._pid == getpid():
                self._end(self._status if self._begun else GONE, None)

    def _end(self, status: int, error: BaseException | None) -> None:
        if not self._ended:
            self._ended = True
            for listener in self._listeners:
                listener(status, error)
            self._listeners.clear()


def _of_the_body(error: Exception) -> bool:
    return not isinstance(error, OSError) or error.errno in _OF_FILES


class _Parts:
    def __init__(self, parts: Iterator[Any], stream: Stream) -> None:
        self._parts = parts
        self._stream = stream

    def __iter__(self) -> Iterator[Any]:
        self._stream.begin()
        return self

    def __next__(self) -> Any:
        try:
            return next(self._parts)
        except StopIteration:
            raise
        except BaseException as error:
            self._stream.broke(error)
            raise


class _AsyncParts:
    """The same of an asynchronous body."""

    def __init__(self, parts: AsyncIterator[Any], stream: Stream) -> None:
        self._parts = parts
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[Any]:
        self._stream.begin()
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._parts)
        except (StopAsyncIteration, GeneratorExit):
            raise
        except BaseException as error:
            self._stream.broke(error)
            raise
