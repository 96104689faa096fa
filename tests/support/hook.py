"""A real webhook receiver that remembers what came, from whom and when."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from tests.support.waiting import until


class Message(NamedTuple):
    """One alert of one webhook call."""

    at: float
    sender: str  # the User-Agent, up to its version
    path: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def name(self) -> str:
        return self.labels["alertname"]


class Hook:
    """Listens on a free loopback port; `status` is what it answers."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.messages: list[Message] = []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook._take(self.headers.get("User-Agent", ""), self.path, body)
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                del args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/page"

    def of(self, sender: str, name: str = "") -> list[Message]:
        """Return what `sender` (a prefix) said, of one alert or of all."""
        return [
            m
            for m in self.messages
            if m.sender.lower().startswith(sender) and name in {"", m.name}
        ]

    def wait(self, sender: str, name: str, status: str, seconds: float) -> Message:
        """Return the first such message, or fail saying what did come."""
        until(
            lambda: [(m.sender, m.name, m.status) for m in self.messages],
            seconds,
            f"{status} {name} from {sender}",
            good=lambda _: any(m.status == status for m in self.of(sender, name)),
        )
        return next(m for m in self.of(sender, name) if m.status == status)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, agent: str, path: str, body: dict) -> None:
        now = time.time()
        for alert in body["alerts"]:
            self.messages.append(
                Message(
                    now,
                    agent.partition("/")[0],
                    path,
                    alert["status"],
                    alert["labels"],
                    alert["annotations"],
                )
            )
