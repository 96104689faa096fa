"""The demo's own pager: a real HTTP receiver of version-4 webhooks."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

_LARGEST_BODY = 1 << 20


class Page(NamedTuple):
    """One alert of one message that arrived.

    Attributes:
        at: When it arrived, seconds since the epoch.
        status: ``firing`` or ``resolved``.
        alertname: The alert's name.
        summary: Its summary annotation.
        description: Its description annotation.
    """

    at: float
    status: str
    alertname: str
    summary: str
    description: str


class Pager:
    """Receives pages on a loopback port and remembers them."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self._read = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where to send pages."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/page"

    def first(self, alertname: str, status: str, since: float) -> Page | None:
        """Return the first page of that alert and status that came after `since`."""
        for page in self.pages:
            if (page.alertname, page.status) == (alertname, status) and page.at > since:
                return page
        return None

    def news(self) -> list[Page]:
        """Return the pages that came since this was last called."""
        found = self.pages[self._read :]
        self._read += len(found)
        return found

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _take(self, body: dict[str, Any]) -> None:
        now = time.time()
        for alert in body.get("alerts", []):
            notes = alert.get("annotations", {})
            self.pages.append(
                Page(
                    now,
                    str(alert.get("status", "")),
                    str(alert.get("labels", {}).get("alertname", "")),
                    str(notes.get("summary", "")),
                    str(notes.get("description", "")),
                )
            )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        pager = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                try:
                    body = json.loads(self.rfile.read(min(length, _LARGEST_BODY)))
                    pager._take(body)
                except (ValueError, AttributeError, TypeError):
                    self.send_error(400, "a version-4 webhook body was expected")
                    return
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
                del format, args

        return Handler
