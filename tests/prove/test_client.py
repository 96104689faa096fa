"""Asking a peer: whatever it does, the asker gets on."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import pytest

from watchroom.prove import client


@contextlib.contextmanager
def trickling(first):
    """Yield the URL of a server that says `first`, then a byte ten times a second."""
    server, over = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve():
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(first)
            while not over.wait(0.1):
                connection.sendall(b"x")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    finally:
        over.set()
        thread.join()
        server.close()


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"]
)
def test_a_peer_that_sends_a_byte_now_and_then_is_given_up(first):
    with trickling(first) as url:
        began = time.monotonic()
        with pytest.raises(
            client.PeerError, match=r"did not finish its answer within 0\.9"
        ):
            client.fetch(url, seconds=0.3)
        assert time.monotonic() - began < 30, "all 999 bytes would take 100 s"
