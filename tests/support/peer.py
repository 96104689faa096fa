"""One HTTP server that plays any peer, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
from typing import NamedTuple


class Asked(NamedTuple):
    """One request that came in."""

    path: str
    query: str
    headers: dict
    body: bytes


class Peer:
    """Answers by path: (status, body), a body, or a function of the request.

    The body of a redirect is where it leads.

    Args:
        make: Makes the server, of an address and a handler.
        where: Its address; a path for a Unix socket.
    """

    def __init__(self, make=http.server.ThreadingHTTPServer, where=("127.0.0.1", 0)):
        self.paths = {}
        self.asked = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                length = int(self.headers.get("Content-Length") or 0)
                path, _, query = self.path.partition("?")
                asked = Asked(path, query, dict(self.headers), self.rfile.read(length))
                outer.asked.append(asked)
                answer = outer.answer(asked)
                status, body = answer if isinstance(answer, tuple) else (200, answer)
                raw = (body if isinstance(body, str) else json.dumps(body)).encode()
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    if 300 <= status < 400:
                        self.send_header("Location", str(body))
                    self.send_header("Content-Length", str(len(raw)))
                    self.end_headers()
                    self.wfile.write(raw)

            do_POST = do_DELETE = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *args):
                pass

            def address_string(self):
                return ""  # a Unix socket's peer has no address

        self.server = make(where, Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, asked):
        """Return what is answered to one request."""
        found = self.paths.get(asked.path, (404, "not here"))
        return found(asked) if callable(found) else found

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
