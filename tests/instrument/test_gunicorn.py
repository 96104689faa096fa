"""Real workers, requests and a kill: the sum equals what was answered or lost."""

import http.client
import os
import signal
import sys
import threading
import time

import pytest
from tests.support.app import ROOT, Counts, environ
from tests.support.children import Children
from tests.support.ports import free_port

from watchroom.exporter.processes.merge import Merger

pytestmark = pytest.mark.slow
ROUTE = "fine/<int:number>/"


class Load:
    """Requests over four connections; remembers what was answered."""

    def __init__(self, port):
        self.port = port
        self.answered = self.broken = 0
        self._lock = threading.Lock()

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            with self._lock:
                self.broken += 1
            return None
        finally:
            connection.close()
        with self._lock:
            self.answered += response.status == 200
        return body.decode()

    def run(self, count):
        def visit():
            for number in range(count // 4):
                self.get(f"/fine/{number}/")

        threads = [threading.Thread(target=visit) for _ in range(4)]
        for thread in threads:
            thread.start()
        return threads


@pytest.mark.parametrize("preload", [False, True])
def test_four_workers_one_killed_then_half_with_another_limit(tmp_path, preload):
    run = tmp_path / "run"
    port, second = free_port(), free_port()
    merger = Merger(run, "testapp")
    command = [sys.executable, "-m", "gunicorn", "tests.app.wsgi", "--workers"]
    command_tail = ["--no-control-socket", *(["--preload"] if preload else [])]

    def start(children, workers, at, **more):
        return children.start(
            f"gunicorn-{at}",
            [*command, str(workers), "--bind", f"127.0.0.1:{at}", *command_tail],
            env=environ(run, TESTS_APP_DATA=str(tmp_path), **more),
            cwd=ROOT,
        )

    def read():
        return Counts.of(merger.render())

    try:
        with Children(tmp_path / "logs") as children:
            first = start(children, 4, port)
            children.wait_until(
                lambda: merger.processes()["web"] == 4, "4 web processes", alive=first
            )
            load = Load(port)
            waiting = threading.Thread(target=lambda: load.get("/hang/"))
            waiting.start()
            children.wait_until(
                lambda: read().get("http_requests_in_flight"), "a request hangs"
            )
            threads = load.run(2000)
            # The one that hangs answers nothing else: killing it loses one request.
            children.wait_until(
                lambda: any(_hangs(run, pid) for pid in _pids(run)), "one hangs"
            )
            hung = next(pid for pid in _pids(run) if _hangs(run, pid))
            os.kill(hung, signal.SIGKILL)
            for thread in (*threads, waiting):
                thread.join()
            children.wait_until(
                lambda: merger.processes()["web"] == 4, "the arbiter replaces it"
            )
            found = read()
            name = "http_requests_total"
            assert found.sum(name, status="lost") == 1
            assert found.sum(name, route="hang/", status="lost") == 1
            assert found.sum(name, status="200") == load.answered == 2000
            assert load.broken == 1

            # A deploy with another limit, beside the old workers.
            start(children, 2, second, TESTS_APP_LIMIT="3s")
            children.wait_until(
                lambda: merger.processes()["web"] == 6, "2 more web processes"
            )
            newer = Load(second)
            threads = load.run(400) + newer.run(400)
            before = {}
            while any(thread.is_alive() for thread in threads):
                before = _rising(before, read())
                time.sleep(0.02)
            children.stop(first)
            found = read()
            _rising(before, found)
            answered = load.answered + newer.answered
            assert found.sum(name, status="200") == answered == 2800
            labels = {"method": "GET", "route": ROUTE}
            bucket = "http_request_duration_seconds_bucket"
            assert found.get(bucket, **labels, le="3.0") == answered
            assert found.get(bucket, **labels, le="+Inf") == answered
            assert found.get("watchroom_processes", role="web") == 2
            assert found.sum("watchroom_instrument_errors_total") == 0
    finally:
        merger.close()


def _pids(run):
    return [int(path.name.split(".")[2]) for path in run.glob("*.slots")]


def _hangs(run, pid):
    from watchroom.runtime.reader import Reader

    path = next(path for path in run.iterdir() if f".{pid}." in path.name)
    reader = Reader(path)
    try:
        reader.refresh()
        slots = reader.read()
        return any(
            row.definition.kind == "inflight"
            and row.values[1] == "hang/"
            and slots[row.at] > 0
            for row in reader.rows
        )
    finally:
        reader.close()


def _rising(before, found):
    for key, value in found.items():
        if key[0].startswith("http_request") and "in_flight" not in key[0]:
            assert value >= dict.get(before, key, 0.0), key
    return found
