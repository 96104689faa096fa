"""A Sentry that keeps what it is sent: a real HTTP server, and a parser of its own."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver(ThreadingHTTPServer):
    """Takes envelopes; `bodies` are as they came, `items` what is in them."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    @property
    def dsn(self) -> str:
        return f"http://planted-key@127.0.0.1:{self.server_address[1]}/7"

    @property
    def items(self) -> list[tuple[str, dict]]:
        return [one for body in self.bodies for one in parse(body)]

    def of(self, kind: str) -> list[dict]:
        return [payload for item, payload in self.items if item == kind]

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        assert self.path == "/api/7/envelope/"
        assert "sentry_key=planted-key" in self.headers["X-Sentry-Auth"]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.bodies.append(body)
        answer = b'{"id": "1"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Say nothing."""


def parse(body: bytes) -> list[tuple[str, dict]]:
    """Return type and payload of an envelope's items, as the protocol has them."""
    _, _, rest = body.partition(b"\n")
    found = []
    while rest.strip():
        head, _, rest = rest.partition(b"\n")
        header = json.loads(head)
        length = header.get("length")
        if length is None:
            payload, _, rest = rest.partition(b"\n")
        else:
            payload, rest = rest[:length], rest[length:]
            assert rest[:1] in {b"", b"\n"}
            rest = rest[1:]
        found.append((header["type"], json.loads(payload)))
    return found
