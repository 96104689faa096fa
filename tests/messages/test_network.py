"""What the network did, of real errors: each library wraps them in its own way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import urllib.request

import aiohttp
import pytest

from watchroom.messages.network import reason


def by_urllib(url, seconds):
    with pytest.raises(OSError) as caught:  # noqa: PT011 - which one is the question
        urllib.request.urlopen(url, timeout=seconds)
    return caught.value


def by_aiohttp(url, seconds):
    async def look():
        limit = aiohttp.ClientTimeout(total=seconds)
        async with aiohttp.ClientSession(timeout=limit) as session:
            await session.get(url)

    with pytest.raises((OSError, aiohttp.ClientError)) as caught:
        asyncio.run(look())
    return caught.value


@pytest.fixture(params=[by_urllib, by_aiohttp])
def failed(request):
    return request.param


@contextlib.contextmanager
def answering(said):
    """Yield the address of a server that says this to everybody, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(4096)
                        connection.sendall(said)

        thread = threading.Thread(target=talk)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_nobody_listens(failed):
    assert reason(failed("http://127.0.0.1:9/secret", 10)) == "connection refused"


def test_no_answer_comes(failed):
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert reason(failed(url, 0.2)) == "no answer in time"


def test_the_connection_is_closed_before_an_answer(failed):
    with answering(b"") as place:
        assert reason(failed(f"http://{place}/", 10)) in {
            "connection closed without an answer",
            "connection reset by peer",  # where what was sent had not been read
        }


def test_the_other_side_speaks_no_tls(failed):
    with answering(b"220 mail.example ESMTP\r\n") as place:
        assert reason(failed(f"https://{place}/", 10)).startswith("TLS failed: ")


def test_a_name_that_does_not_resolve():
    with pytest.raises(socket.gaierror) as caught:
        socket.getaddrinfo("", 9)
    assert reason(caught.value) == "the host name is unknown"
