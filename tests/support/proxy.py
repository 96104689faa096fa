"""A reverse proxy before a monitor: under a path that it keeps or strips."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import threading

_OURS = {"connection", "keep-alive", "transfer-encoding", "content-length", "date"}


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def forward(self):
        server = self.server
        if not f"{self.path}/".startswith(server.prefix + "/"):
            self.answer(404, {}, b"another app of this host\n")
            return
        path = self.path if server.keep else self.path[len(server.prefix) :] or "/"
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {n: v for n, v in self.headers.items() if n.lower() not in _OURS}
        headers["X-Forwarded-For"] = "203.0.113.7"
        if server.host:
            headers["Host"] = server.host
        connection = http.client.HTTPConnection("127.0.0.1", server.to, timeout=20)
        with contextlib.closing(connection):
            connection.request(self.command, path, body or None, headers)
            found = connection.getresponse()
            kept = {n: v for n, v in found.getheaders() if n.lower() not in _OURS}
            self.answer(found.status, kept, found.read())

    def do_GET(self):
        self.forward()

    def do_POST(self):
        self.forward()

    def answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def proxied(port, prefix, *, keep, host=""):
    """Yield the URL under which a server on `port` is reached, without last slash."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.to, server.prefix, server.keep, server.host = port, prefix, keep, host
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{prefix}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
