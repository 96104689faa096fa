"""A webhook receiver on loopback that answers as it is told."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from typing import NamedTuple


class Heard(NamedTuple):
    """One request: when it came, where, its headers and body."""

    at: float
    path: str
    headers: dict
    text: str

    @property
    def message(self):
        """The JSON of the body."""
        return json.loads(self.text)


class Listener:
    """Collects what it hears; `answers` are used up first, then `status`.

    An answer is a status, a pair of status and headers, or a number of seconds to say
    nothing in before the connection is cut (a float).
    """

    def __init__(self, port=0, answers=(), status=200):
        self.heard = []
        self.answers = list(answers)
        self.status = status
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                heard = Heard(time.time(), self.path, dict(self.headers), text)
                outer.heard.append(heard)
                answer = outer.answers.pop(0) if outer.answers else outer.status
                if isinstance(answer, float):
                    outer.closing.wait(answer)
                    self.close_connection = True
                    return
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.closing = threading.Event()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        self.thread.start()

    def url(self, path="/hook"):
        """Return its address."""
        return f"http://127.0.0.1:{self.port}{path}"

    def messages(self, path=None):
        """Return the messages heard (at one path)."""
        return [h.message for h in list(self.heard) if path in {None, h.path}]

    def close(self):
        """Stop listening."""
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@contextlib.contextmanager
def listening(**options):
    """Listen while the block runs."""
    listener = Listener(**options)
    try:
        yield listener
    finally:
        listener.close()
