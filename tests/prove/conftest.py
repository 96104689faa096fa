"""A built directory, and one HTTP server that plays every peer of the checklist."""

from __future__ import annotations

import http.server
import json
import threading
import time
from typing import NamedTuple

import pytest
from tests.support.plans import built, planned, put

from watchroom.cli.drill import read_built
from watchroom.prove.chain import Chain
from watchroom.prove.records import Record, Result
from watchroom.prove.results import rule_marks
from watchroom.prove.world import World


class Asked(NamedTuple):
    """One request that came in."""

    path: str
    query: str
    headers: dict
    body: bytes


class Peer:
    """Answers by path: (status, body), a body, or a function of the request."""

    def __init__(self):
        self.paths = {}
        self.asked = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                length = int(self.headers.get("Content-Length") or 0)
                path, _, query = self.path.partition("?")
                asked = Asked(path, query, dict(self.headers), self.rfile.read(length))
                outer.asked.append(asked)
                answer = outer.paths.get(path, (404, "not here"))
                answer = answer(asked) if callable(answer) else answer
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                raw = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_POST = do_GET  # noqa: N815 - http.server's name

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def peer():
    found = Peer()
    yield found
    found.close()


@pytest.fixture(scope="session")
def texts():
    """The files of one build, made once."""
    return built(planned())


@pytest.fixture
def world(peer, tmp_path, texts):
    """Return a function that makes a world whose every peer is `peer`."""

    def make(known=(), *, environ=None, embedded=True, change=None, **more):
        put(tmp_path, texts)
        if change is not None:
            path = tmp_path / "watchroom.json"
            document = json.loads(path.read_text())
            change(document)
            path.write_text(json.dumps(document))
        now = time.time()
        return World(
            built=read_built(tmp_path),
            chain=Chain(peer.url, peer.url, peer.url, "", embedded),
            known={
                (one.kind, one.name): Record(
                    one, one.at if one.state == "passed" else None
                )
                for one in known
            },
            now=now,
            environ=environ or {},
            **more,
        )

    return make


@pytest.fixture
def drilled(world):
    """Return a function that makes the results of a drill of every rule."""

    def make(days=1.0, **changes):
        marks = rule_marks(world().built.manifest)
        at = time.time() - days * 86400
        return [
            Result("drill", alert, at, "passed", "arrived", of=mark)._replace(**changes)
            for alert, mark in marks.items()
        ]

    return make
