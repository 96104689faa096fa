"""A database and a cache that accept and never answer, under three kinds of servers."""

import http.client
import json
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.support.app import ROOT, environ
from tests.support.children import Children
from tests.support.hole import Hole
from tests.support.ports import free_port
from tests.support.redis_server import redis_server

GUNICORN = ("gunicorn", "tests.app.wsgi", "--no-control-socket", "--workers", "1")
SERVERS = {
    "sync": (*GUNICORN, "--bind", "127.0.0.1:{port}"),
    # The app is loaded before the fork, and no request runs in the main thread.
    "gthread": (*GUNICORN, "--threads", "4", "--preload", "--bind", "127.0.0.1:{port}"),
    "uvicorn": (
        *("uvicorn", "tests.app.asgi:application"),
        *("--log-level", "warning", "--port", "{port}"),
    ),
}
# Threads that the server, or Django under it (one a request), adds by itself.
POOLS = {"sync": 0, "gthread": 4, "uvicorn": 16}
HEALTH = {
    "drain": "1s",
    "checks": {
        "database": {"timeout": "500ms", "ttl": "200ms"},
        "cache": {"timeout": "500ms", "ttl": "200ms", "hard": True},
    },
}
# Far below what a hang costs, far above what a starved machine does.
SOON = 5.0


class App:
    def __init__(self, port, process, cache, pool):
        self.port = port
        self.process = process
        self.cache = cache
        self.pool = pool

    def get(self, path):
        """Return the status, the JSON body if it is one, and the seconds it took."""
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        body = json.loads(body) if body.startswith("{") else body
        return answer.status, body, time.monotonic() - began

    def answers(self):
        try:
            return self.get("/livez")[0] == 200
        except OSError:
            return False

    def threads(self):
        """Return how many threads the process that serves has."""
        root = Path(f"/proc/{self.process.pid}")
        children = (root / f"task/{self.process.pid}/children").read_text().split()
        serving = Path("/proc", children[0]) if children else root
        return len(list((serving / "task").iterdir()))


@pytest.fixture(params=SERVERS)
def app(request, tmp_path):
    port = free_port()
    with Hole() as database, Hole() as cache, Children(tmp_path / "logs") as children:
        process = children.start(
            request.param,
            [
                *(sys.executable, "-m"),
                *(word.format(port=port) for word in SERVERS[request.param]),
            ],
            env=environ(
                tmp_path / "run",
                TESTS_APP_POSTGRES_PORT=str(database.port),
                TESTS_APP_REDIS_PORT=str(cache.port),
                TESTS_APP_HEALTH=json.dumps(HEALTH),
            ),
            cwd=ROOT,
        )
        app = App(port, process, cache, POOLS[request.param])
        children.wait_until(app.answers, "the server starts", 60, alive=process)
        yield app


def test_a_hole_holds_up_nobody_then_heals_and_the_end_is_announced(app):
    before = app.threads()
    status, body, seconds = app.get("/readyz")
    assert (status, body["status"]) == (503, "degraded")
    assert body["checks"] == {"database": "error", "cache": "error", "disk": "ok"}
    assert seconds < SOON

    # What many probes at once find, while other things go on.
    found = []
    probes = [
        threading.Thread(target=lambda: found.append(app.get("/readyz")))
        for _ in range(12)
    ]
    for probe in probes:
        probe.start()
    assert app.get("/livez")[0] == 200
    for probe in probes:
        probe.join()
    assert [status for status, _, _ in found] == [503] * 12
    assert max(seconds for _, _, seconds in found) < SOON

    # One thread a check is all that an outage costs.
    assert app.threads() <= before + 2 + app.pool

    app.cache.close()
    with redis_server(app.cache.port):
        until = time.monotonic() + 30
        while app.get("/readyz")[1]["checks"]["cache"] != "ok":
            assert time.monotonic() < until

    began = time.monotonic()
    app.process.send_signal(signal.SIGTERM)
    until = time.monotonic() + 20
    while (said := app.get("/readyz")[1])["status"] != "draining":
        assert time.monotonic() < until, said
    assert app.get("/livez")[0] == 200
    app.process.wait(30)
    assert app.process.returncode in {0, -signal.SIGTERM}
    # A second of it is the drain that the settings ask for.
    assert 0.9 < time.monotonic() - began < SOON + 5
