"""The exporter's HTTP: what its paths answer. Standard library only."""

from __future__ import annotations

import json
import re
import socket
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from watchroom import exporter
from watchroom.errors import ConfigError, FormatError
from watchroom.exporter.connections import LARGEST_BODY, Acceptor
from watchroom.exporter.drills import DownError
from watchroom.exporter.metrics import UnreadableError
from watchroom.exporter.probe.site import BusyError, patience
from watchroom.exporter.token import Gate
from watchroom.formats import exposition

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.exporter.drills import Drills
    from watchroom.exporter.failures import Failures
    from watchroom.exporter.metrics import Scrape
    from watchroom.exporter.probe.site import Sites
    from watchroom.exporter.token import Caller, Token
    from watchroom.listen import Listen

_HOST = re.compile(r"(?:[A-Za-z0-9.-]{1,255}|\[[0-9a-fA-F:.]{2,45}\]):[0-9]{1,5}")
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
# The methods of each path, and what of the handler answers them.
PATHS = {
    "/metrics": {"GET": "_metrics"},
    "/probe": {"GET": "_probe"},
    "/drill/targets": {"GET": "_targets"},
    "/drill/metrics": {"GET": "_drill_metrics"},
    "/drill/start": {"POST": "_start"},
    "/drill/recover": {"POST": "_recover"},
    "/drill/stop": {"POST": "_stop"},
    "/drill/receipt": {"GET": "_receipts", "POST": "_receive"},
    "/-/healthy": {"GET": "_healthy"},
    "/-/processes": {"GET": "_processes"},
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Connection": "close",
}


class ExporterServices(NamedTuple):
    """What the endpoints are made of."""

    scrape: Scrape
    sites: Sites
    drills: Drills
    failures: Failures
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


class Server(Acceptor):
    """The exporter, listening.

    Args:
        listen: Where; port 0 lets the system choose.
        services: Makes the services; called with the count of refused connections.

    Raises:
        OSError: The address cannot be listened on.
    """

    def __init__(
        self, listen: Listen, services: Callable[[Callable[[], int]], ExporterServices]
    ) -> None:
        family = socket.AF_INET6 if listen.ipv6 else socket.AF_INET
        address = listen.host, listen.port
        super().__init__(family, address, self._respond, self._unexpected)
        self.services = services(lambda: self.refused)
        self.listen = listen._replace(port=self.server_address[1])
        self.gate = Gate(self.listen, self.services.token)

    def _unexpected(self, error: Exception) -> None:
        self.services.failures.count("http", error)

    def _respond(self, request: bytes, caller: Caller) -> bytes:
        return _Handler(request, caller, self).answer()


class _Handler(BaseHTTPRequestHandler):
    server: Server  # type: ignore[assignment]
    protocol_version = "HTTP/1.1"

    def __init__(self, request: bytes, caller: Caller, server: Server) -> None:
        self._request, self._caller = request, caller
        # socketserver's own: answers while it is made.
        super().__init__(request, caller, server)  # type: ignore[arg-type]

    def setup(self) -> None:
        """Read from memory, and write to it."""
        self.rfile: Any = BytesIO(self._request)
        self.wfile: Any = BytesIO()

    def finish(self) -> None:
        """Leave what was written: `answer` returns it."""

    def answer(self) -> bytes:
        """Return what was written."""
        written: bytes = self.wfile.getvalue()
        return written

    def handle_expect_100(self) -> bool:
        """Write nothing: the body is here already."""
        return True

    def do_GET(self) -> None:
        """Answer any method; an unknown path gets the list of paths."""
        try:
            answer = self._route()
        except _Refusal as refusal:
            answer = _Answer(refusal.status, f"{refusal}\n")
        except (ConfigError, FormatError) as error:
            answer = _Answer(400, f"{error}\n")
        except Exception as error:  # noqa: BLE001 - the one guard of a request
            self.server.services.failures.count("http", error)
            answer = _Answer(500, "the exporter failed; see its log\n")
        self._send(answer)

    do_POST = do_HEAD = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_GET  # noqa: N815

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None
    ) -> None:
        """Answer what http.server could not parse, in one line of text."""
        del explain
        self.close_connection = True
        self._send(_Answer(code, f"{message or 'invalid request'}\n"))

    def version_string(self) -> str:
        """Name the program, and not the Python below it."""
        return f"watchroom/{exporter.version()}"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Log nothing per request: a scrape comes every few seconds."""

    def _route(self) -> _Answer:
        path = urlsplit(self.path).path
        methods = PATHS.get(path)
        if methods is None:
            known = ", ".join(sorted(PATHS))
            raise _Refusal(404, f"not found; known paths: {known}")
        name = methods.get(self.command)
        if name is None:
            raise _Refusal(405, f"{path} accepts only {', '.join(methods)}")
        self._authorize(path)
        answer: _Answer = getattr(self, name)()
        return answer

    def _authorize(self, path: str) -> None:
        gate, version = self.server.gate, self.request_version
        try:
            problem = gate.problem(path, self.headers, version, self._caller)
        except ConfigError as error:
            raise _Refusal(503, str(error)) from None
        if problem is not None:
            raise _Refusal(*problem)

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
            raise _Refusal(
                400, f"unknown module {module[:40]!r}; the only one is http_2xx"
            )
        seconds = patience(self.headers.get("X-Prometheus-Scrape-Timeout-Seconds"))
        try:
            probe = self.server.services.sites.probe(target, seconds)
        except BusyError as error:
            self.server.services.failures.count("probe", error)
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
            raise _Refusal(503, "down, simulated by a drill") from None
        return _Answer(200, text, exposition.CONTENT_TYPE)

    def _receipts(self) -> _Answer:
        drills = self.server.services.drills
        nonce = self._parameter("nonce", "")
        return _json(
            {"received": drills.receipts(nonce) if nonce else drills.arrivals()}
        )

    def _healthy(self) -> _Answer:
        return _Answer(200, "the exporter is running\n")

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
        values = query.get(name, [default] if default is not None else [])
        if len(values) != 1 or values[0] is None:
            raise _Refusal(400, f"pass ?{name}=… exactly once")
        return values[0]

    def _body(self) -> Any:
        text = self.headers.get("Content-Length", "")
        if not text.isascii() or not text.isdigit():
            raise _Refusal(411, "send a Content-Length with the body")
        if len(text) > 9 or int(text) > LARGEST_BODY:
            raise _Refusal(413, f"the body may have at most {LARGEST_BODY} bytes")
        data = self.rfile.read(int(text))
        if len(data) < int(text):
            raise _Refusal(400, "the body ends early")
        try:
            return json.loads(data)
        except (ValueError, RecursionError):
            raise _Refusal(400, "the body isn't JSON") from None

    def _send(self, answer: _Answer) -> None:
        data = answer.body.encode()
        self.close_connection = True
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if answer.status == 405:
            methods = PATHS[urlsplit(self.path).path]
            self.send_header("Allow", ", ".join(methods))
        if answer.status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _json(value: object) -> _Answer:
    return _Answer(200, json.dumps(value), _JSON)
