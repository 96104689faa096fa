"""Connections that say nothing, or half of it, stop neither the page nor the watch."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import socket
import threading
import time

import pytest
from aiohttp import web
from tests.support.waiting import until
from tests.support.watched import request

from watchroom.listen import parse_listen, raise_descriptors
from watchroom.monitor.access import connections as doors_module
from watchroom.monitor.access.connections import ConnectionListener, most_connections

HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-a: "
BODY = (
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\ntoken="
)
SAYS = {"nothing": b"", "half a head": HEAD, "half a body": BODY}
JSON = {"Content-Type": "application/json"}
DESCRIPTORS = 128


class Crowd:
    """Opens connections that never finish what they say, and opens them again."""

    def __init__(self, port, count, said):
        self.held = 0
        self._over = threading.Event()
        self._work = port, count, said
        self._thread = threading.Thread(target=self._open)

    def __enter__(self):
        self._thread.start()
        until(lambda: self.held, what="the crowd has come")
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def _open(self):
        port, count, said = self._work
        mine = []
        while not self._over.wait(0.01):
            try:
                while len(mine) < count:
                    mine.append(socket.create_connection(("127.0.0.1", port), 1))
                    mine[-1].sendall(said)
            except OSError:
                pass
            self.held = max(self.held, len(mine))
            mine = [one for one in mine if not closed(one)]
        for one in mine:
            one.close()


def closed(connection):
    """Return whether the other end has closed a connection; then so do we."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        pass
    connection.close()
    return True


@pytest.mark.parametrize("said", SAYS.values(), ids=SAYS)
def test_a_crowd_that_says_nothing_whole_stops_nothing(
    files, monitor, target, pages, said
):
    """Case 14: at 1024 descriptors no question was answered, and no scrape done."""
    # A scrape may take as long: each must have its descriptor, not a quick processor.
    files.interval = "2s"
    files.job(target.address).write()
    monitor.start(
        preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)
        )
    ).ready()
    until(lambda: monitor.value("up") == 1)
    with Crowd(monitor.port, 400, said):
        for _ in range(25):
            start = time.monotonic()
            assert request(f"{monitor.url}/-/healthy").status == 200
            assert time.monotonic() - start < 5, "no place is waited for"
        target.paths["/metrics"] = "m 9\n"
        until(pages.messages, 15, "a scrape, a rule and a page")
        alert = [{"labels": {"alertname": "Posted"}}]
        posted = monitor.post("/api/v2/alerts", json.dumps(alert).encode(), **JSON)
        assert posted.status == 200
        until(lambda: "Posted" in json.dumps(pages.messages()), what="its page")
        metrics = monitor.get("/metrics").body
        least = monitor.value("min_over_time(up[1m])")
    assert least == 1, "every scrape had its descriptor"
    open_ = re.search(r"^watchroom_http_connections (\d+)", metrics, re.MULTILINE)
    assert int(open_[1]) <= most_connections(DESCRIPTORS)
    gone = re.findall(r'connections_closed_total\{why="(\w+)[^}]*\} (\d+)', metrics)
    assert sum(int(count) for _, count in gone) > 0
    log = monitor.log.read_text()
    assert log.count("connections that are too slow") == 1
    assert "Traceback" not in log
    assert len(log) < 3000


def test_the_soft_limit_is_raised_and_half_of_it_kept_for_the_watch():
    assert most_connections(1024) == 512
    assert most_connections(256) == 128
    assert most_connections(1_000_000) == 512
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        assert (
            raise_descriptors(65_536) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        )
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Open:
    """A connection listener before an application whose handler waits to answer."""

    def __init__(self, most, monkeypatch, seconds, host="127.0.0.1"):
        self.host = host
        for name in ("HEAD_SECONDS", "BODY_SECONDS", "IDLE_SECONDS"):
            monkeypatch.setattr(doors_module, name, seconds)  # not half a minute
        monkeypatch.setattr(doors_module, "_SWEEP_SECONDS", 0.02)  # nor that
        self.listener = ConnectionListener(most)
        self.go = asyncio.Event()
        self.writers = []

    async def __aenter__(self):
        async def answer(request):
            if "slow" in request.query:
                await self.go.wait()
            await self.listener.read(request, anonymous=False)
            return web.Response(text=(await request.read()).decode() or "here")

        app = web.Application(middlewares=[self.listener.middleware])
        app.router.add_route("*", "/", answer)
        self.runner = web.AppRunner(app, access_log=None)
        await self.runner.setup()
        await self.listener.listen(self.runner.server, self.host, 0)
        bound = [s for s in self.listener._sockets if s.family == socket.AF_INET]
        self.port = bound[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        for one in self.writers:
            one.close()
        self.listener.close()
        await self.runner.cleanup()

    async def connect(self, said=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(said)
        self.writers.append(writer)
        return reader


GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SLOW = b"GET /?slow=1 HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"


def test_what_keeps_us_waiting_is_closed_in_time_and_what_works_is_not(monkeypatch):
    async def look():
        async with Open(50, monkeypatch, 0.3) as door:
            readers = [await door.connect(said) for said in (b"", b"GET / HT", GET)]
            slow = await door.connect(SLOW)
            half = await door.connect(POST + b"half")
            for reader in readers:
                await asyncio.wait_for(reader.read(), 5)
            assert b" 408 " in await asyncio.wait_for(half.read(), 5)
            # The last one when it did not leave after its 408.
            assert door.listener.closed["late"] == 4
            door.go.set()
            assert b"here" in await asyncio.wait_for(slow.readuntil(b"here"), 5)

    asyncio.run(look())


def test_one_too_many_displaces_the_oldest_that_waits_never_one_at_work(monkeypatch):
    async def look():
        async with Open(3, monkeypatch, 60) as door:
            work = [await door.connect(SLOW)]
            idle = [await door.connect() for _ in range(2)]
            await asyncio.sleep(0.05)
            asked = await door.connect(GET)
            assert await asyncio.wait_for(idle[0].read(), 5) == b"", "the oldest"
            assert b"here" in await asyncio.wait_for(asked.readuntil(b"here"), 5)
            work += [await door.connect(SLOW) for _ in range(2)]
            await asyncio.sleep(0.3)
            later = await door.connect(GET)
            await asyncio.sleep(0.3)
            assert door.listener.open == 3, "it waits before the door"
            assert door.listener.closed["displaced"] == 3
            work.append(later)
            door.go.set()
            for reader in work:
                await asyncio.wait_for(reader.readuntil(b"here"), 5)
            again = await door.connect(POST + b"half+half")
            await asyncio.wait_for(again.readuntil(b"half+half"), 5)

    asyncio.run(look())


@pytest.mark.parametrize("text", [":0", "localhost:0", "0.0.0.0:0"])
def test_any_address_to_listen_on_is_listened_on(text, monkeypatch):
    async def look():
        async with Open(3, monkeypatch, 60, parse_listen(text).host) as door:
            reader = await door.connect(GET)
            assert b"here" in await asyncio.wait_for(reader.readuntil(b"here"), 5)

    asyncio.run(look())


def test_each_counts_once_from_its_first_moment(monkeypatch):
    """One that had just come counted as arriving and as open for a turn of the loop."""

    async def look():
        async with Open(50, monkeypatch, 60) as door:
            counts = []

            def count():
                counts.append(door.listener.open)
                asyncio.get_running_loop().call_soon(count)

            count()
            for _ in range(5):
                reader = await door.connect(GET)
                await asyncio.wait_for(reader.readuntil(b"here"), 5)
            return counts

    found = asyncio.run(look())
    assert (max(found), found[-1]) == (5, 5)
    assert sorted(found) == found, "none is counted twice for a moment"


def test_without_a_descriptor_nothing_is_taken_for_a_moment_and_said_once(
    monkeypatch, caplog
):
    async def look():
        async with Open(50, monkeypatch, 60) as door:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            waiting = [socket.socket() for _ in range(20)]
            for one in waiting:
                one.setblocking(False)
            used = max(one.fileno() for one in waiting) + 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
            try:
                for one in waiting:
                    one.connect_ex(("127.0.0.1", door.port))
                await asyncio.sleep(0.3)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            tried = door.listener.closed["no descriptor"]
            reader = await door.connect(GET)
            assert b"here" in await asyncio.wait_for(reader.readuntil(b"here"), 5)
            for one in waiting:
                one.close()
            return tried

    assert 1 <= asyncio.run(look()) <= 3
    said = [one for one in caplog.records if "can't accept conn" in one.getMessage()]
    assert len(said) == 1


def test_strangers_post_no_megabytes_and_learn_no_versions(files, monitor):
    files.write()
    monitor.start().ready()
    large = monitor.post("/login", b"token=" + b"x" * 20_000, stranger=True)
    assert large.status == 413
    assert monitor.post("/api/v1/query", b"query=1&x=" + b"x" * 20_000).status == 200
    assert monitor.get("/login").headers["Server"] == "watchroom"
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", monitor.port), 10) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nBad Header\r\n\r\n")
            answer = connection.makefile("rb").read()
            assert b" 400 " in answer.splitlines()[0]
            assert b"aiohttp" not in answer
    log = monitor.log.read_text()
    assert (log.count("a request isn't HTTP"), log.count("Traceback")) == (1, 0)
