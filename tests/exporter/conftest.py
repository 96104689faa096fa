"""A real exporter on a free port, and a plain client."""

import http.client
import json
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from watchroom.exporter.drills import Drills
from watchroom.exporter.failures import Failures
from watchroom.exporter.metrics import PARTS, Scrape
from watchroom.exporter.probe.site import Sites
from watchroom.exporter.server import ExporterServices, Server
from watchroom.exporter.sources import Sources
from watchroom.exporter.token import Token
from watchroom.listen import Listen

TOKEN = "a-token-for-tests"


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class App:
    """The merged numbers, or what goes wrong with them."""

    def __init__(self):
        self.text = "# TYPE app_up gauge\napp_up 1\n"
        self.error = None

    def render(self):
        if self.error is not None:
            raise self.error
        return self.text


class Gauges:
    name = "gauges"

    def __init__(self):
        self.found = []
        self.error = None

    def families(self):
        if self.error is not None:
            raise self.error
        return self.found


def ask(address, method, path, body=None, headers=None):
    """Return (status, headers, text) of one request."""
    host, port = address
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        data = json.dumps(body).encode() if body is not None else None
        connection.request(method, path, data, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


@pytest.fixture
def exporters(tmp_path):
    """Return a function that starts an exporter; all are stopped afterwards."""
    running = []

    def start(*, sites=(), environ=None, listen=None, context=None):
        parts = SimpleNamespace(
            app=App(), gauges=Gauges(), clock=Clock(), failures=Failures(PARTS)
        )
        parts.drills = Drills(parts.clock, lambda: 1_700_000_000.5)
        token = Token(
            {"WATCHROOM_TOKEN": TOKEN} if environ is None else environ, Path(tmp_path)
        )

        def services(refused):
            scrape = Scrape(
                parts.app,
                Sources([parts.gauges], parts.failures),
                parts.drills,
                parts.failures,
                refused,
            )
            return ExporterServices(
                scrape, Sites(sites, context), parts.drills, parts.failures, token
            )

        server = Server(listen or Listen("127.0.0.1", 0), services)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        running.append((server, thread))
        address = ("127.0.0.1", server.listen.port)

        def call(method, path, body=None, *, token="", headers=None):
            sent = dict(headers or {})
            if token:
                sent["Authorization"] = f"Bearer {token}"
            return ask(address, method, path, body, sent)

        return SimpleNamespace(server=server, address=address, call=call, **vars(parts))

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def exporter(exporters):
    return exporters()
