"""The demo's TLS front: what the probe asks, and what a visitor gets."""

from __future__ import annotations

import http.server
import ssl
import stat
import subprocess
import sys
import threading
import urllib.request

import pytest
from examples.ledger import front
from tests.support.ports import free_port
from tests.support.waiting import until


class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.headers["Host"].encode() * 20_000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def app():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), App)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def test_what_the_app_answers_comes_through_tls_whole(tmp_path, app) -> None:
    chain, authority = front.certificate(tmp_path)
    assert stat.S_IMODE(chain.stat().st_mode) == 0o600
    port = free_port()
    argv = [front.__file__, str(chain), str(port), str(app)]
    trusting = ssl.create_default_context(cafile=str(authority))

    def ask(context: ssl.SSLContext) -> bytes:
        url = f"https://localhost:{port}/"
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:
            return answer.read()

    with subprocess.Popen([sys.executable, *argv]) as process:
        try:
            body = until(lambda: ask(trusting), 30, "the front answers")
            assert body == f"localhost:{port}".encode() * 20_000
            with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
                ask(ssl.create_default_context())
        finally:
            process.terminate()
