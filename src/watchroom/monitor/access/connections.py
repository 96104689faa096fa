"""The connections that browsers and programs hold to the monitor: bounded and timed.

A client that opens connections and says nothing takes descriptors that scrapes, pages
and databases need. asyncio's own accept loop meets that with one log line per attempt,
thousands a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import ClientError, web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOG = logging.getLogger(__name__)
_NOT_HERE = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}  # IPv6 that is switched off
MOST_DESCRIPTORS = 65_536
_MOST = 512
_FEWEST = 8
_BACKLOG = 256
_AT_ONCE = 16
"""Connections taken before others of the loop have their turn."""
HEAD_SECONDS = 10.0
BODY_SECONDS = 20.0
IDLE_SECONDS = 60.0
"""For a next request, and for an answer to be read."""
_ANONYMOUS_BYTES = 16 * 1024
_SWEEP_SECONDS = 1.0
_GRACE_SECONDS = 0.1
"""How long no connection is displaced: a request needs some turns of the loop."""
_FULL_SECONDS = 0.02
_PAUSE_SECONDS = 0.5
_LOG_SECONDS = 60.0


def most_connections(descriptors: int) -> int:
    """Return how many connections may be open: the other half is for the watch."""
    return max(_FEWEST, min(_MOST, descriptors // 2))


@dataclass
class _Connection:
    """One of them.

    Attributes:
        since: When it began to keep us waiting.
        seconds: How long it may.
        waits: Whether the next move is the client's.
    """

    since: float
    seconds: float
    waits: bool = True

    def wait(self, now: float, seconds: float) -> None:
        """Begin to wait for the client."""
        self.since, self.seconds, self.waits = now, seconds, True


class ConnectionListener:
    """Accepts connections, and closes those that keep it waiting.

    Args:
        most: Open at once. One more closes the one that has kept us waiting longest.
        now: Seconds that only grow.
    """

    def __init__(self, most: int, now: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self.closed = {"late": 0, "displaced": 0, "no descriptor": 0}
        self._now = now
        self._open: dict[asyncio.BaseTransport, _Connection] = {}
        self._arriving: dict[int, asyncio.Task[None]] = {}  # by descriptor
        self._sockets: list[socket.socket] = []
        self._last_said = -_LOG_SECONDS
        self._sweeper: asyncio.Task[None] | None = None

    @property
    def open(self) -> int:
        """How many are open."""
        return len(self._open) + len(self._arriving)

    async def listen(
        self, protocol: Callable[[], asyncio.Protocol], host: str, port: int
    ) -> None:
        """Take connections at every address of a name.

        Raises:
            OSError: The address is taken, or not ours.
        """
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        lacking: OSError | None = None
        for family, kind, number, _, address in dict.fromkeys(addresses):
            try:
                self._sockets.append(_bound(family, kind, number, address))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    self.close()
                    raise
                lacking = error
        if lacking is not None and not self._sockets:
            raise lacking
        for listening in self._sockets:
            loop.add_reader(listening, self._accept, listening, protocol)
        self._sweeper = asyncio.create_task(self._sweep(), name="listener")

    def close(self) -> None:
        """Take no more; those that are open stay."""
        for listening in self._sockets:
            with contextlib.suppress(RuntimeError):  # no loop runs
                asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        self._sockets.clear()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def _accept(
        self, listening: socket.socket, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        for turn in range(_AT_ONCE):
            if self.open >= self.most:
                self._forget_closed()
            if self.open >= self.most:
                # One a turn: a new connection must have time to be read. The kernel
                # keeps the others.
                if turn == 0 and not self._displace():
                    self._pause(listening, protocol, _FULL_SECONDS)
                if turn > 0 or self.open >= self.most:
                    return
            try:
                sock, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                reason = f"can't accept connections: {error.strerror}"
                self._count("no descriptor", reason)
                self._displace()
                self._pause(listening, protocol, _PAUSE_SECONDS)
                return
            sock.setblocking(False)
            task = asyncio.create_task(self._take(sock, protocol))
            self._arriving[sock.fileno()] = task

    async def _take(
        self, sock: socket.socket, protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        number = sock.fileno()
        try:
            transport, _ = await asyncio.get_running_loop().connect_accepted_socket(
                protocol, sock
            )
        except OSError:
            sock.close()
        else:
            self._connection(transport)
        finally:
            # A later connection may have the number of one that is closed by now.
            if self._arriving.get(number) is asyncio.current_task():
                del self._arriving[number]

    def _connection(self, transport: asyncio.BaseTransport) -> _Connection:
        """Return what is known of a connection; it counts once, from here as open."""
        known = self._open.get(transport)
        if known is None:
            # aiohttp may begin with a request before the task that took it goes on.
            self._arriving.pop(transport.get_extra_info("socket").fileno(), None)
            known = _Connection(self._now(), HEAD_SECONDS)
            self._open[transport] = known
        return known

    def _pause(
        self,
        listening: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        seconds: float,
    ) -> None:
        """Leave a listening socket alone for a moment."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)

        def resume() -> None:
            if listening in self._sockets:
                loop.add_reader(listening, self._accept, listening, protocol)

        loop.call_later(seconds, resume)

    def _displace(self) -> bool:
        """Close the connection that has kept us waiting longest, if any does."""
        young = self._now() - _GRACE_SECONDS
        waiting = [
            (connection.since, number, transport)
            for number, (transport, connection) in enumerate(self._open.items())
            if connection.waits and connection.since <= young
        ]
        if not waiting:
            return False
        self._abort([min(waiting)[-1]])
        self._count("displaced", f"{self.most} connections are open")
        return True

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            self._forget_closed()
            now = self._now()
            overdue = [
                t
                for t, connection in self._open.items()
                if connection.waits and connection.since + connection.seconds < now
            ]
            self._abort(overdue)
            self.closed["late"] += len(overdue)

    def _abort(self, transports: Iterable[asyncio.BaseTransport]) -> None:
        for transport in transports:
            del self._open[transport]
            if isinstance(transport, asyncio.Transport):
                transport.abort()

    def _forget_closed(self) -> None:
        for transport in [
            transport for transport in self._open if transport.is_closing()
        ]:
            del self._open[transport]

    def _count(self, kind: str, why: str) -> None:
        self.closed[kind] += 1
        if self._now() - self._last_said >= _LOG_SECONDS:
            self._last_said = self._now()
            _LOG.warning(
                "%s: closing connections that are too slow, the oldest first "
                "(so far %s)",
                why,
                ", ".join(f"{n} {name}" for name, n in self.closed.items() if n),
            )

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """Note that a connection waits for us, until it is answered."""
        connection = self._of(request)
        connection.waits = False
        try:
            return await handler(request)
        finally:
            connection.wait(self._now(), IDLE_SECONDS)

    async def read(self, request: web.Request, *, anonymous: bool) -> None:
        """Have the whole body of a request before it is worked on.

        Args:
            request: The request.
            anonymous: Whether the client is not authenticated: then it must be short.

        Raises:
            web.HTTPException: It did not come in time, or is too large.
        """
        if not request.body_exists:
            return
        length = request.content_length
        if anonymous and (length is None or length > _ANONYMOUS_BYTES):
            raise web.HTTPRequestEntityTooLarge(_ANONYMOUS_BYTES, length or 0)
        connection = self._of(request)
        connection.wait(self._now(), BODY_SECONDS + 2 * _SWEEP_SECONDS)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                await request.read()
        except (TimeoutError, OSError, ClientError, web.RequestPayloadError):
            timed_out = web.HTTPRequestTimeout(
                text="the request body did not arrive in time\n"
            )
            timed_out.force_close()
            raise timed_out from None
        finally:
            connection.waits = False

    def _of(self, request: web.Request) -> _Connection:
        if request.transport is None or request.transport.is_closing():
            return _Connection(self._now(), HEAD_SECONDS)
        return self._connection(request.transport)


def _bound(
    family: int, kind: int, number: int, address: tuple[object, ...]
) -> socket.socket:
    sock = socket.socket(family, kind, number)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
