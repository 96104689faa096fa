"""Connections, held by one thread that waits for whole requests.

A thread a connection made 64 idle ones enough to keep every scraper out. Here an idle
connection costs a descriptor and no thread; whole requests alone get one, and when too
many connections are open the oldest that has not asked yet is cut. A scraper asks in
the moment it connects, so it is never the oldest. One request per connection.
"""

from __future__ import annotations

import logging
import re
import resource
import selectors
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from watchroom.exporter.token import Caller

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("watchroom.exporter")

CONNECTIONS = 1024
WORKERS = 64
ASKING_SECONDS = 5.0  # to send a whole request
ANSWERING_SECONDS = 60.0  # to be answered and to read it
LEAVING_SECONDS = 1.0  # to close after the answer
LARGEST_HEAD = 65_536
LARGEST_BODY = 1 << 20
MOST_BYTES = 64 << 20  # of requests and answers, over all connections
_AT_ONCE = 64  # connections accepted before the others are looked at
_SWEEP_SECONDS = 0.2
_COMPLAINT_SECONDS = 60.0
_HEAD_ENDS = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(
    rb"\ncontent-length[ \t]*:[ \t]*([0-9]{1,9})[ \t]*\r?\n", re.IGNORECASE
)
_WAITS = re.compile(rb"\nexpect[ \t]*:[ \t]*100-continue[ \t]*\r?\n", re.IGNORECASE)
_READING, _WORKING, _WRITING, _LEAVING = range(4)
_TOO_LONG = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)
_BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Peer:
    __slots__ = ("caller", "data", "left", "seen", "sock", "state", "until", "wanted")

    def __init__(self, sock: socket.socket, caller: Caller) -> None:
        self.sock, self.caller = sock, caller
        self.data = bytearray()  # the request, then the answer
        self.state, self.until = _READING, time.monotonic() + ASKING_SECONDS
        self.seen = 0  # searched for the end of the head
        self.wanted = 0  # the length of the whole request, once known
        self.left = 0  # where the unsent part of the answer begins


class Acceptor:
    """Accepts connections and has their requests answered.

    Args:
        family: Of the address.
        address: Where to listen; port 0 lets the system choose.
        answer: Given a request's bytes and who sent it, returns the answer's bytes;
            called in threads.
        failed: Called with unexpected errors; the connection is dropped.

    Attributes:
        refused: How many connections were cut or turned away, too many being open.
        server_address: Where it listens.

    Raises:
        OSError: The address cannot be listened on.
    """

    def __init__(
        self,
        family: socket.AddressFamily,
        address: tuple[str, int],
        answer: Callable[[bytes, Caller], bytes],
        failed: Callable[[Exception], None],
    ) -> None:
        self.refused = 0
        self._answer = answer
        self._failed = failed
        # As many as there are descriptors for; half of them are for other things.
        half = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
        self._most = max(8, min(CONNECTIONS, half))
        self._listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listening.bind(address)
            self._listening.listen(1024)
        except OSError:
            self._listening.close()
            raise
        self._listening.setblocking(False)
        self.server_address = self._listening.getsockname()
        self._selector = selectors.DefaultSelector()
        self._woken, self._wake = socket.socketpair()
        self._woken.setblocking(False)
        self._wake.setblocking(False)
        self._selector.register(self._listening, selectors.EVENT_READ, self._accept)
        self._selector.register(self._woken, selectors.EVENT_READ, self._drain)
        # By state and, in each, by age.
        self._peers: tuple[dict[_Peer, None], ...] = ({}, {}, {}, {})
        self._waiting: deque[tuple[_Peer, bytes]] = deque()
        self._busy = 0
        self._buffered = 0
        self._done: deque[tuple[_Peer, bytes]] = deque()
        self._stopping, self._stopped = threading.Event(), threading.Event()
        self._stopped.set()
        self._complained = -_COMPLAINT_SECONDS

    # As socketserver's

    def serve_forever(self, poll_interval: float = _SWEEP_SECONDS) -> None:
        """Serve until `shutdown`."""
        self._stopped.clear()
        swept = 0.0
        try:
            while not self._stopping.is_set():
                for key, _ in self._selector.select(min(poll_interval, _SWEEP_SECONDS)):
                    self._look_at(key.data)
                now = time.monotonic()
                if now - swept >= _SWEEP_SECONDS:
                    swept = now
                    self._sweep(now)
        finally:
            self._stopped.set()

    def _look_at(self, work: Callable[[], None] | _Peer) -> None:
        try:
            if not isinstance(work, _Peer):
                work()
            elif work in self._peers[work.state]:  # not cut a moment ago
                self._go_on(work)
        except Exception as error:  # noqa: BLE001 - one connection must not end them all
            self._failed(error)
            if isinstance(work, _Peer):
                self._drop(work)

    def shutdown(self) -> None:
        """Make `serve_forever` return, and wait for it."""
        self._stopping.set()
        self._rouse()
        self._stopped.wait()

    def server_close(self) -> None:
        """Close everything."""
        for peers in self._peers:
            for peer in list(peers):
                self._drop(peer)
        self._selector.close()
        for each in (self._listening, self._woken, self._wake):
            each.close()

    # Events, all in the thread that serves

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # No descriptors: one comes free, and the next look takes it.
                self._complain(error.strerror or str(error))
                if not self._make_room():
                    time.sleep(0.05)  # they are others'; look again, but not at once
                return
            if sum(map(len, self._peers)) >= self._most and not self._make_room():
                self.refused += 1
                with suppress(OSError):
                    sock.setblocking(False)
                    sock.send(_BUSY)
                sock.close()
                continue
            sock.setblocking(False)
            try:
                peer = _Peer(sock, Caller(address, sock.getsockname()))
            except OSError:  # it went already
                sock.close()
                continue
            self._peers[_READING][peer] = None
            self._selector.register(sock, selectors.EVENT_READ, peer)
            self._read(peer)

    def _make_room(self) -> bool:
        """Cut the oldest connection that has been answered, or has not asked yet."""
        for state in (_LEAVING, _READING):
            for peer in self._peers[state]:
                self._refuse(peer)
                return True
        deadline = time.monotonic() + ANSWERING_SECONDS - LEAVING_SECONDS
        for peer in self._peers[_WRITING]:
            if peer.until < deadline:  # it does not read its answer
                self._refuse(peer)
                return True
        return False

    def _refuse(self, peer: _Peer) -> None:
        if peer.state != _LEAVING:
            self.refused += 1
            self._complain("too many open connections")
        self._drop(peer)

    def _complain(self, why: str) -> None:
        now = time.monotonic()
        if now - self._complained >= _COMPLAINT_SECONDS:
            self._complained = now
            log.warning("closing idle connections: %s", why)

    def _go_on(self, peer: _Peer) -> None:
        if peer.state == _READING:
            self._read(peer)
        elif peer.state == _WRITING:
            self._write(peer)
        elif peer.state == _LEAVING:
            with suppress(BlockingIOError):
                if not _received(peer.sock):
                    self._drop(peer)

    def _read(self, peer: _Peer) -> None:
        try:
            got = _received(peer.sock)
        except BlockingIOError:
            return
        peer.data += got
        self._buffered += len(got)
        if not got and not peer.data:
            self._drop(peer)
        elif not got or self._complete(peer):
            self._ask(peer)
        elif len(peer.data) > LARGEST_HEAD and not peer.wanted:
            self._reply(peer, _TOO_LONG)
        elif self._buffered > MOST_BYTES:
            self._refuse(
                max(self._peers[_READING], key=lambda candidate: len(candidate.data))
            )

    def _complete(self, peer: _Peer) -> bool:
        if not peer.wanted:
            head_end = _HEAD_ENDS.search(peer.data, max(0, peer.seen - 2))
            peer.seen = len(peer.data)
            if head_end is None or head_end.end() > LARGEST_HEAD:
                return False
            peer.wanted = head_end.end()
            head = bytes(peer.data[: head_end.end()])
            length = _LENGTH.search(head)
            if head.startswith(b"POST ") and length and int(length[1]) <= LARGEST_BODY:
                peer.wanted += int(length[1])
                if _WAITS.search(head) and len(peer.data) < peer.wanted:
                    with suppress(OSError):
                        peer.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return len(peer.data) >= peer.wanted

    def _ask(self, peer: _Peer) -> None:
        self._move(peer, _WORKING, ANSWERING_SECONDS)
        self._selector.unregister(peer.sock)
        request = bytes(peer.data)
        if self._busy < WORKERS:
            self._begin(peer, request)
        else:
            self._waiting.append((peer, request))

    def _begin(self, peer: _Peer, request: bytes) -> None:
        def work() -> None:
            answer = b""
            try:
                answer = self._answer(request, peer.caller)
            finally:
                self._done.append((peer, answer))
                self._rouse()

        self._busy += 1
        try:
            threading.Thread(target=work, name="request", daemon=True).start()
        except RuntimeError:  # no more threads
            self._busy -= 1
            self._refuse(peer)

    def _rouse(self) -> None:
        # A full pipe wakes it already; a closed one means that it has ended.
        with suppress(OSError):
            self._wake.send(b"x")

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4096)
        while self._done:
            peer, answer = self._done.popleft()
            self._busy -= 1
            if peer in self._peers[_WORKING]:
                self._selector.register(peer.sock, selectors.EVENT_WRITE, peer)
                self._reply(peer, answer)
        while self._waiting and self._busy < WORKERS:
            peer, request = self._waiting.popleft()
            if peer in self._peers[_WORKING]:
                self._begin(peer, request)

    def _reply(self, peer: _Peer, answer: bytes) -> None:
        self._buffered += len(answer) - len(peer.data)
        peer.data, peer.left = bytearray(answer), 0
        self._move(peer, _WRITING, ANSWERING_SECONDS)
        self._selector.modify(peer.sock, selectors.EVENT_WRITE, peer)
        self._write(peer)
        while self._buffered > MOST_BYTES and self._peers[_WRITING]:
            self._refuse(next(iter(self._peers[_WRITING])))

    def _write(self, peer: _Peer) -> None:
        try:
            with memoryview(peer.data) as whole, whole[peer.left :] as rest:
                peer.left += peer.sock.send(rest) if rest else 0
        except BlockingIOError:
            return
        except OSError:
            self._drop(peer)
            return
        if peer.left < len(peer.data):
            return
        self._buffered -= len(peer.data)
        peer.data, peer.left = bytearray(), 0
        # Closing with something unread would take the answer back from the peer.
        self._move(peer, _LEAVING, LEAVING_SECONDS)
        self._selector.modify(peer.sock, selectors.EVENT_READ, peer)
        with suppress(OSError):
            peer.sock.shutdown(socket.SHUT_WR)

    def _move(self, peer: _Peer, state: int, seconds: float) -> None:
        del self._peers[peer.state][peer]
        peer.state, peer.until = state, time.monotonic() + seconds
        self._peers[state][peer] = None

    def _sweep(self, now: float) -> None:
        for peers in self._peers:
            # In the order of their deadlines.
            while peers and (peer := next(iter(peers))).until < now:
                self._drop(peer)

    def _drop(self, peer: _Peer) -> None:
        self._peers[peer.state].pop(peer, None)
        self._buffered -= len(peer.data)
        peer.data = bytearray()
        with suppress(KeyError, ValueError):
            self._selector.unregister(peer.sock)
        peer.sock.close()


def _received(sock: socket.socket) -> bytes:
    """Return what came, b"" at the end; of a broken connection that is the end too.

    Raises:
        BlockingIOError: Nothing did.
    """
    try:
        return sock.recv(65536)
    except BlockingIOError:
        raise
    except OSError:
        return b""
