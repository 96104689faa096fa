"""The exporter's HTTP: bounded in requests, bodies and time.

One request per connection: a scraper every few seconds does not need more, and then a
connection's age is a request's age. Standard library only.
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, urlsplit

from watchroom import exporter
from watchroom.errors import ConfigError, FormatError
from watchroom.exporter.drills import DownError
from watchroom.exporter.probe import BusyError, patience
from watchroom.exporter.scrape import UnreadableError
from watchroom.formats import exposition

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.exporter.access import Listen, Token
    from watchroom.exporter.drills import Drills
    from watchroom.exporter.faults import Faults
    from watchroom.exporter.probe import Sites
    from watchroom.exporter.scrape import Scrape

CONNECTIONS = 64
ASKING_SECONDS = 5.0  # to send a whole request
ANSWERING_SECONDS = 60.0  # to be answered and to read it
LARGEST_BODY = 1 << 20

_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,255}|\[[0-9a-fA-F:.]{2,45}\]):[0-9]{1,5}")
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_PATHS = {
    "/metrics": "GET",
    "/probe": "GET",
    "/drill/targets": "GET",
    "/drill/metrics": "GET",
    "/drill/start": "POST",
    "/drill/recover": "POST",
    "/drill/stop": "POST",
    "/drill/receipt": "GET, POST",
    "/-/healthy": "GET",
    "/-/processes": "GET",
}
_STEERING = frozenset({"/drill/start", "/drill/recover", "/drill/stop"})


class Services(NamedTuple):
    """What the endpoints are made of.

    Attributes:
        scrape: ``/metrics``.
        sites: ``/probe``.
        drills: ``/drill/…``.
        faults: Where failures are counted.
        token: What steering a drill needs, and everything beyond loopback.
        roll: ``/-/processes``.
    """

    scrape: Scrape
    sites: Sites
    drills: Drills
    faults: Faults
    token: Token
    roll: Callable[[], dict[str, Any]] = dict


class _Answer(NamedTuple):
    status: int
    body: str
    kind: str = _TEXT


class _Refusal(Exception):  # noqa: N818 - an answer, not an error of ours
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Server(ThreadingHTTPServer):
    """The exporter, listening.

    Args:
        listen: Where; port 0 lets the system choose.
        services: Makes the services, told the count of refused connections.

    Raises:
        OSError: The address cannot be listened on.
    """

    daemon_threads = True
    request_queue_size = CONNECTIONS
    allow_reuse_address = True

    def __init__(
        self, listen: Listen, services: Callable[[Callable[[], int]], Services]
    ) -> None:
        if listen.ipv6:
            self.address_family = socket.AF_INET6
        self.refused = 0
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        self._lock = threading.Lock()
        self._deadlines: dict[socket.socket, float] = {}
        self.services = services(lambda: self.refused)
        super().__init__((listen.host, listen.port), _Handler)
        self.listen = listen._replace(port=self.server_address[1])

    def server_bind(self) -> None:
        """Bind, without HTTPServer's look-up of our own name, which can hang."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), 0

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread, or turn it away when too many are open."""
        if not self._slots.acquire(blocking=False):
            self.refused += 1
            with suppress(OSError):
                request.settimeout(0.0)
                request.send(b"HTTP/1.1 503 Busy\r\nConnection: close\r\n\r\n")
            self.shutdown_request(request)
            return
        self.allow(request, ASKING_SECONDS)
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no more threads
            self._forget(request)
            self.refused += 1
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection and free its place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._forget(request)

    def allow(self, request: socket.socket, seconds: float) -> None:
        """Let a connection live so much longer; after that it is cut."""
        with self._lock:
            self._deadlines[request] = time.monotonic() + seconds

    def service_actions(self) -> None:
        """Cut the connections that are over their time; called twice a second."""
        now = time.monotonic()
        with self._lock:
            late = [one for one, until in self._deadlines.items() if until < now]
        for one in late:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Count what a handler did not expect; peers that go away are no error."""
        del request, client_address
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.services.faults.count("http", error)

    def _forget(self, request: socket.socket) -> None:
        with self._lock:
            self._deadlines.pop(request, None)
        self._slots.release()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = ASKING_SECONDS
    routes: ClassVar[dict[tuple[str, str], str]] = {
        ("GET", "/metrics"): "_metrics",
        ("GET", "/probe"): "_probe",
        ("GET", "/drill/targets"): "_targets",
        ("GET", "/drill/metrics"): "_drill_metrics",
        ("GET", "/drill/receipt"): "_receipts",
        ("GET", "/-/healthy"): "_healthy",
        ("GET", "/-/processes"): "_processes",
        ("POST", "/drill/start"): "_start",
        ("POST", "/drill/recover"): "_recover",
        ("POST", "/drill/stop"): "_stop",
        ("POST", "/drill/receipt"): "_receive",
    }

    def do_GET(self) -> None:
        """Answer any method: what does not exist says what does."""
        self.server.allow(self.connection, ANSWERING_SECONDS)
        try:
            answer = self._route()
        except _Refusal as refusal:
            answer = _Answer(refusal.status, f"{refusal}\n")
        except (ConfigError, FormatError) as error:
            answer = _Answer(400, f"{error}\n")
        except OSError:
            raise  # the peer went away
        except Exception as error:  # noqa: BLE001 - the one guard of a request
            self.server.services.faults.count("http", error)
            answer = _Answer(500, "the exporter failed; its log says why\n")
        self._send(answer)

    do_POST = do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        """Answer what http.server could not parse, in one line of text."""
        del explain
        self.close_connection = True
        self._send(_Answer(code, f"{message or 'not understood'}\n"))

    def version_string(self) -> str:
        """Name the program, and not the Python below it."""
        return f"watchroom/{exporter.version()}"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Log nothing per request: a scrape comes every few seconds."""

    def _route(self) -> _Answer:
        path = urlsplit(self.path).path
        methods = _PATHS.get(path)
        if methods is None:
            raise _Refusal(404, f"not here; there are {', '.join(sorted(_PATHS))}")
        name = self.routes.get((self.command, path))
        if name is None:
            raise _Refusal(405, f"{path} takes {methods}")
        self._authorize(path)
        answer: _Answer = getattr(self, name)()
        return answer

    def _authorize(self, path: str) -> None:
        # A loopback socket is reached by this machine only; steering still needs the
        # token, since any user of it, and any page in a browser on it, can post.
        if path == "/-/healthy":
            return
        if path not in _STEERING and self.server.listen.loopback:
            return
        try:
            allowed = self.server.services.token.allows(
                self.headers.get("Authorization", "")
            )
        except ConfigError as error:
            raise _Refusal(503, str(error)) from None
        if not allowed:
            raise _Refusal(
                401,
                f"{path} needs the token: Authorization: Bearer <token>, from "
                "WATCHROOM_TOKEN[_FILE] or the runtime directory's file `token`",
            )

    def _metrics(self) -> _Answer:
        try:
            text = self.server.services.scrape.render()
        except UnreadableError as error:
            raise _Refusal(503, str(error)) from None
        return _Answer(200, text, exposition.CONTENT_TYPE)

    def _probe(self) -> _Answer:
        target = self._parameter("target")
        module = self._parameter("module", "http_2xx")
        if module != "http_2xx":
            raise _Refusal(400, f"no module {module[:40]!r}; there is http_2xx")
        seconds = patience(self.headers.get("X-Prometheus-Scrape-Timeout-Seconds"))
        try:
            probe = self.server.services.sites.probe(target, seconds)
        except BusyError as error:
            self.server.services.faults.count("probe", error)
            raise _Refusal(503, str(error)) from None
        text = exposition.render(probe.families())
        if probe.reason:
            # A comment: for the person who asks by hand why a site is down.
            text += f"# {' '.join(probe.reason.split())}\n"
        return _Answer(200, text, exposition.CONTENT_TYPE)

    def _targets(self) -> _Answer:
        # The name the asker reached us by: what its scraper can reach, too.
        host = self.headers.get("Host", "")
        address = host if _HOST.fullmatch(host) else str(self.server.listen)
        return _json(self.server.services.drills.targets(address))

    def _drill_metrics(self) -> _Answer:
        try:
            text = self.server.services.drills.metrics(self._parameter("nonce"))
        except DownError:
            raise _Refusal(503, "down, as the drill has it") from None
        return _Answer(200, text, exposition.CONTENT_TYPE)

    def _receipts(self) -> _Answer:
        drills = self.server.services.drills
        nonce = self._parameter("nonce", "")
        return _json(
            {"received": drills.receipts(nonce) if nonce else drills.arrivals()}
        )

    def _healthy(self) -> _Answer:
        return _Answer(200, "the exporter is up\n")

    def _processes(self) -> _Answer:
        return _json(self.server.services.roll())

    def _start(self) -> _Answer:
        self.server.services.drills.start(self._body())
        return _json({"status": "started"})

    def _recover(self) -> _Answer:
        self.server.services.drills.recover(self._body())
        return _json({"status": "recovering"})

    def _stop(self) -> _Answer:
        self.server.services.drills.stop(self._body())
        return _json({"status": "stopped"})

    def _receive(self) -> _Answer:
        return _json({"kept": self.server.services.drills.receive(self._body())})

    def _parameter(self, name: str, default: str | None = None) -> str:
        query = parse_qs(urlsplit(self.path).query, max_num_fields=20)
        found = query.get(name, [default] if default is not None else [])
        if len(found) != 1 or found[0] is None:
            raise _Refusal(400, f"say ?{name}=…, once")
        return found[0]

    def _body(self) -> Any:
        text = self.headers.get("Content-Length", "")
        if not text.isascii() or not text.isdigit():
            raise _Refusal(411, "send the body with a Content-Length")
        if len(text) > 9 or int(text) > LARGEST_BODY:
            raise _Refusal(413, f"a body may have {LARGEST_BODY} bytes")
        self.server.allow(self.connection, ASKING_SECONDS)
        data = self.rfile.read(int(text))
        self.server.allow(self.connection, ANSWERING_SECONDS)
        if len(data) < int(text):
            raise _Refusal(400, "the body ends early")
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise _Refusal(400, "the body is no JSON") from None

    def _send(self, answer: _Answer) -> None:
        data = answer.body.encode()
        self.close_connection = True
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        if answer.status == 405:
            self.send_header("Allow", _PATHS[urlsplit(self.path).path])
        if answer.status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _json(value: object) -> _Answer:
    return _Answer(200, json.dumps(value), _JSON)
