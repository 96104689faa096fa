"""What the demo tells: stages that come true in order, with their measured times."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import re
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from examples.demo.stage import WINDOW, DemoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from examples.demo.screen import Screen
    from examples.demo.stage import Stage

ALERT = "HighErrorRate"
_RATE = f"sum(rate(http_requests_total[{WINDOW}]))"
_ERRORS = f"max(job:http_request_errors:ratio_rate{WINDOW})"
_SLOW = f"max(job:http_request_duration_seconds:p95_rate{WINDOW})"


def read(url: str, body: bytes | None = None) -> str:
    """Return what `url` answers, to a POST where there is a body; "" for a failure."""
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, body, kind)  # noqa: S310 - loopback
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - loopback
            return str(answer.read().decode())
    except (OSError, http.client.HTTPException):
        return ""


class Page(NamedTuple):
    """One alert of one message that arrived."""

    at: float  # seconds since the epoch
    status: str  # firing or resolved
    alertname: str
    summary: str
    description: str


class Handler(BaseHTTPRequestHandler):
    server: Pager
    timeout = 10

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        for alert in body["alerts"]:
            name, notes = alert["labels"]["alertname"], alert["annotations"]
            texts = notes["summary"], notes["description"]
            self.server.pages.append(Page(time.time(), alert["status"], name, *texts))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        del args


class Pager(ThreadingHTTPServer):
    """A real receiver of version-4 webhooks on loopback; remembers its pages."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: list[Page] = []
        self.url = f"http://127.0.0.1:{self.server_port}/page"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def first(self, alertname: str, status: str, since: float) -> Page | None:
        """Return the first page of that alert and status that came after `since`."""
        found = (page for page in self.pages if page.at > since)
        return next((p for p in found if p[1:3] == (status, alertname)), None)


class Site:
    """The running demo, seen over HTTP alone."""

    def __init__(self, stage: Stage) -> None:
        self._app, self._exporter = stage.app_url, stage.exporter_url
        self._probe = f"probe?target={urllib.parse.quote(stage.site_url, safe='')}"
        self.monitor = stage.monitor_url

    def works(self) -> bool:
        """Tell whether the exporter sees every part of the demo at work."""
        text = read(f"{self._exporter}metrics")
        roles = set(re.findall(r'(?m)^watchroom_processes\{role="(\w+)"\} [1-9]', text))
        checks = re.findall(r"(?m)^health_check_status\{.*\} (\d)$", text)
        probed = "\nprobe_success 1\n" in read(f"{self._exporter}{self._probe}")
        return roles >= {"web", "worker"} and set(checks) == {"1"} and probed

    def fault(self, share: str | None) -> None:
        """Let a share of the requests fail, such as "30%", or none."""
        body = json.dumps({"errors": share}).encode()
        if not read(f"{self._app}faults/", body):
            raise DemoError("fault", "the app didn't accept the fault; see app.log")

    def state(self) -> str:
        """Return the state of the alert: ok, pending, firing or unknown."""
        alerts = self._get("alerts").get("alerts")
        if alerts is None:
            return "unknown"
        states = {a["state"] for a in alerts if a["labels"]["alertname"] == ALERT}
        return next((s for s in ("firing", "pending") if s in states), "ok")

    def value(self, expr: str = _RATE) -> float:
        """Return the number that the monitor answers to a query, or NaN."""
        result = self._get("query", query=expr).get("result")
        return float(result[0]["value"][1]) if result else math.nan

    def numbers(self) -> str:
        """Return the live summary in one line."""
        rate, errors, slow = map(self.value, (_RATE, _ERRORS, _SLOW))
        texts = f"{rate:.0f} req/s · {errors:.1%} fail · p95 {slow * 1000:.0f} ms"
        return f"{ALERT} {self.state()} · {texts}".replace("nan", "-")

    def _get(self, call: str, **query: str) -> dict[str, Any]:
        url = f"{self.monitor}api/v1/{call}?{urllib.parse.urlencode(query)}"
        with contextlib.suppress(ValueError, KeyError):
            return dict(json.loads(read(url))["data"])
        return {}


class Story:
    """Tells the demo's story once, and again when asked.

    Each method raises DemoError where its stage does not come true in time.
    """

    def __init__(self, stage: Stage, pager: Pager, screen: Screen) -> None:
        self.site = Site(stage)
        self._stage, self._pager = stage, pager
        self._screen, self._say = screen, screen.say
        self._shown = 0

    def tick(self) -> None:
        """Show what is new; called a few times a second while something is awaited."""
        for page in self._pager.pages[self._shown :]:
            self._shown += 1
            text = f": {page.summary}\n{page.description}"
            text = text if page.status == "firing" else " has resolved"
            self._say("page", f"{page.alertname}{text}")
        self._stage.processes.check()
        self._screen.summary(self.site.numbers)

    def wait(
        self, stage: str, true: Callable[[], object], seconds: float, failing: str
    ) -> None:
        """Wait until `true` answers something true."""
        end = time.monotonic() + seconds
        while not true():
            if time.monotonic() > end:
                raise DemoError(stage, f"after {seconds:.0f} s {failing}")
            self.tick()
            time.sleep(0.25)

    def open(self) -> None:
        """Start everything, and wait until all of it works."""
        site, stage = self.site, self._stage
        stage.prepare()
        stage.start()
        silent = "the app isn't responding; see app.log"
        self.wait("start", lambda: read(stage.app_url), 45, silent)
        broken = f"not working; see {stage.exporter_url}metrics and the logs"
        self.wait("start", site.works, 45, broken)
        stage.watch()
        silent = "the monitor isn't responding; see monitor.log"
        self.wait("start", lambda: read(f"{site.monitor}-/ready"), 45, silent)

    def normal(self, seconds: float) -> None:
        """Wait for moving numbers, then watch `seconds` of normal traffic."""
        none = "the monitor has no request rate; see exporter.log and monitor.log"
        self.wait("scraped", lambda: self.site.value() > 0, 45, none)
        self._say("scraped", "the monitor sees the traffic")
        end = time.monotonic() + seconds
        self.wait("normal", lambda: time.monotonic() > end, seconds + 5, "")
        if (state := self.site.state()) != "ok":
            raise DemoError("normal", f"{ALERT} is {state} before any fault")

    def tell(self, share: str = "30%") -> None:
        """Inject the fault, follow it to the page, remove it, wait for resolved."""
        begun = time.time()
        self.site.fault(share)
        try:
            self._say("fault", f"{share} of requests fail from now on")
            pending = self._follow("pending", "firing", begun, "pending", "firing")
            firing = self._follow("firing", "firing", begun, "firing")
            delivered = self._follow("delivered", "firing", begun)
        except DemoError:
            with contextlib.suppress(DemoError):
                self.site.fault(None)
            raise
        ended = time.time()
        self.site.fault(None)
        self._say(
            "repaired", "the fault is removed; waiting for the rate window to pass"
        )
        self._follow("recovered", "resolved", ended, "ok")
        resolved = self._follow("resolved", "resolved", ended)
        times = f"pending {pending:.1f} s → firing {firing:.1f} s → "
        times += f"page delivered {delivered:.1f} s; repaired → resolved"
        self._say("told", f"fault → {times} {resolved:.1f} s")

    def _follow(self, stage: str, status: str, since: float, *states: str) -> float:
        """Wait for a page, or a state of the alert on the way; return the seconds."""

        def seen() -> bool:
            page = self._pager.first(ALERT, status, since)
            return page is not None or self.site.state() in states

        self.wait(stage, seen, 90, f"{ALERT} is not {stage}; see {self.site.monitor}")
        took = time.time() - since
        self.tick()  # the page is shown before what follows from it
        self._say(stage, f"{ALERT}, after {took:.1f} s")
        return took
