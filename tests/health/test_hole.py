"""A database and a cache that accept and never answer, under three kinds of servers."""

import http.client
import json
import signal
import sys
import threading
import time
import urllib.request
from contextlib import suppress
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
# Threads that the server adds by itself. Under ASGI Django makes one for the signals of
# each request, so that nothing can be said of their number.
POOLS = {"sync": 0, "gthread": 4, "uvicorn": 1000}
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
        self.metrics = None

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


def export(children, settings):
    """Start an exporter; return what asks it for its metrics of health."""
    address = f"127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "watchroom", "exporter", "--listen", address]
    children.start("exporter", command, env=settings, cwd=ROOT)

    def metrics():
        url = f"http://{address}/metrics"
        with suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
            found = dict(line.rsplit(" ", 1) for line in lines if line[0] != "#")
            return {k: v for k, v in found.items() if k.startswith("health_")}
        return {}

    return metrics


def becomes(ask, wanted):
    until = time.monotonic() + 30
    while not wanted.items() <= (found := ask()).items():
        assert time.monotonic() < until, found
        time.sleep(0.2)
    return found


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
            env=(
                settings := environ(
                    tmp_path / "run",
                    TESTS_APP_POSTGRES_PORT=str(database.port),
                    TESTS_APP_REDIS_PORT=str(cache.port),
                    TESTS_APP_HEALTH=json.dumps(
                        HEALTH | {"url": f"http://127.0.0.1:{port}"}
                    ),
                )
            ),
            cwd=ROOT,
        )
        app = App(port, process, cache, POOLS[request.param])
        if request.param == "gthread":  # once is enough
            app.metrics = export(children, settings)
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

    database = 'health_check_status{check="database",kind="hard"}'
    cache = 'health_check_status{check="cache",kind="hard"}'
    if app.metrics:
        found = becomes(app.metrics, {database: "0", cache: "0", "health_livez": "1"})
        took = [value for name, value in found.items() if "_duration_" in name]
        assert len(took) == len(found) // 2 == 5

    app.cache.close()
    with redis_server(app.cache.port):
        until = time.monotonic() + 30
        while app.get("/readyz")[1]["checks"]["cache"] != "ok":
            assert time.monotonic() < until
        if app.metrics:
            becomes(app.metrics, {database: "0", cache: "1", "health_livez": "1"})

    began = time.monotonic()
    app.process.send_signal(signal.SIGTERM)
    until = time.monotonic() + 20
    while (said := app.get("/readyz")[1])["status"] != "draining":
        assert time.monotonic() < until, said
    assert app.get("/livez")[0] == 200
    app.process.wait(30)
    assert app.process.returncode in {0, -signal.SIGTERM}
    ended = time.monotonic()
    if app.metrics:
        assert becomes(app.metrics, {"health_livez": "0"}) == {"health_livez": "0"}
    # A second of it is the drain that the settings ask for.
    assert 0.9 < ended - began < SOON + 5
