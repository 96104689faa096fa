"""A real monitor process, a target that behaves as told, a page receiver."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import NamedTuple

from tests.support.ports import free_port
from tests.support.waiting import until

TEXT = "text/plain; version=0.0.4"


class Reply(NamedTuple):
    """What an HTTP request came back with."""

    status: int
    body: str
    headers: dict

    @property
    def json(self):
        return json.loads(self.body)


def request(url, *, data=None, method=None, **headers):
    """Ask without following redirects; every status is a reply."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    asked = urllib.request.Request(url, data=data, headers=named, method=method)

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    opener = urllib.request.build_opener(Stay)
    try:
        with opener.open(asked, timeout=10) as found:
            return Reply(found.status, found.read().decode(), dict(found.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.read().decode(), dict(error.headers))


class Target:
    """An HTTP server whose paths are bodies, or functions that write the answer."""

    def __init__(self):
        self.paths = {"/metrics": "m 1\n"}
        self.seen = []
        self.closing = threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.seen.append((self.path, dict(self.headers)))
                answer = outer.paths.get(self.path.partition("?")[0])
                with contextlib.suppress(OSError):
                    if callable(answer):
                        answer(self)
                    elif answer is None:
                        self.send_error(404)
                    else:
                        self.reply(answer)

            def reply(self, body, kind=TEXT):
                raw = body.encode()
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


RULES = """
groups:
  - name: g
    rules:
      - {record: "m:double", expr: "m * 2"}
      - alert: TooHigh
        expr: m > 5
        for: 1s
        labels: {severity: critical, priority: P1}
        annotations: {summary: "m is {{ $value }}", __panelId__: "1"}
"""
PANEL = {
    "id": 1,
    "title": "Size of <b>m</b>",
    "type": "stat",
    "fieldConfig": {
        "defaults": {
            "unit": "short",
            "thresholds": {
                "mode": "absolute",
                "steps": [
                    {"color": "green", "value": None},
                    {"color": "red", "value": 5},
                ],
            },
        },
        "overrides": [],
    },
    "targets": [
        {"refId": "A", "expr": "max(m)"},
        {"refId": "B", "expr": "count(m)", "hide": True},
    ],
    "links": [{"title": "Runbook", "url": "https://w.example/runbooks/TooHigh"}],
}


class Files:
    """A directory of built files, small and quick."""

    def __init__(self, path, page_url):
        self.path = path
        self.jobs = []
        self.rules = RULES
        self.page_url = page_url
        self.interval = "500ms"
        self.monitor_url = "http://watch.example.org"
        for folder in ("rules", "grafana", "runbooks"):
            (path / folder).mkdir(parents=True)
        (path / "runbooks" / "TooHigh.md").write_text("# Too high\n\n<i>look</i>\n")

    def job(self, address, **more):
        self.jobs.append(
            {
                "job_name": f"job{len(self.jobs)}",
                "honor_timestamps": False,
                "static_configs": [{"targets": [address]}] if address else [],
            }
            | more
        )
        return self

    def write(self):
        config = {
            "global": {
                "scrape_interval": self.interval,
                "scrape_timeout": self.interval,
                "evaluation_interval": self.interval,
                "external_labels": {"environment": "test"},
            },
            "rule_files": ["rules/*.yml"],
            "scrape_configs": self.jobs,
        }
        routes = {
            "route": {
                "receiver": "ops",
                "group_by": ["alertname"],
                "group_wait": "0s",
                "group_interval": "1s",
                "repeat_interval": "1h",
            },
            "receivers": [{"name": "ops", "webhook_configs": [{"url": self.page_url}]}],
        }
        known = {
            "format": 1,
            "version": "0",
            "project": "shop",
            "environment": "test",
            "inputs": {},
            "exporter": "http://127.0.0.1:9000",
            "monitor_url": self.monitor_url,
        }
        board = {"uid": "watchroom-overview", "title": "o", "panels": [PANEL]}
        (self.path / "prometheus.yml").write_text(json.dumps(config, indent=1))
        (self.path / "alertmanager.yml").write_text(json.dumps(routes, indent=1))
        (self.path / "watchroom.json").write_text(json.dumps(known))
        overview = self.path / "grafana" / "watchroom-overview.json"
        overview.write_text(json.dumps(board))
        (self.path / "rules" / "r.yml").write_text(self.rules)
        return self


class Monitor:
    """`watchroom run` in a process of its own."""

    def __init__(self, files, tmp_path):
        self.files = files
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.state = tmp_path / "state"
        self.log = tmp_path / "monitor.log"
        self.process = None
        self.program = ("-m", "watchroom")

    def start(self, *options, host="127.0.0.1", preexec_fn=None, **env):
        command = [
            *(sys.executable, "-W", "error", *self.program, "run"),
            *(str(self.files.path), "--listen", f"{host}:{self.port}"),
            *("--storage.path", str(self.state), *options),
        ]
        base = {k: v for k, v in os.environ.items() if not k.startswith("WATCHROOM")}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                env={**base, **env},
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=preexec_fn,  # noqa: PLW1509 - limits of the child
            )
        return self

    def ready(self):
        def answers():
            if self.process.poll() is not None:
                raise AssertionError(self.log.read_text())
            return request(f"{self.url}/-/ready").status in {200, 401}

        until(answers, 20, "the monitor is ready")
        return self

    def get(self, path, **headers):
        return request(self.url + path, **headers)

    def post(self, path, data=b"", *, stranger=False, **headers):
        """POST as a command here does, with the token; or as whoever has none."""
        if not stranger:
            headers = self.bearer | headers
        return request(self.url + path, data=data, **headers)

    @property
    def token(self):
        return (self.state / "token").read_text().strip()

    @property
    def bearer(self):
        """The header that writes need, on this machine too."""
        return {"Authorization": f"Bearer {self.token}"}

    def login(self):
        """Return the header of a browser that is logged in."""
        form = urllib.parse.urlencode({"token": self.token}).encode()
        answer = request(f"{self.url}/login", data=form)
        return {"Cookie": answer.headers["Set-Cookie"].partition(";")[0]}

    def value(self, expr):
        found = self.get(f"/api/v1/query?{urllib.parse.urlencode({'query': expr})}")
        result = found.json["data"]["result"]
        return float(result[0]["value"][1]) if result else None

    def targets(self):
        return self.get("/api/v1/targets").json["data"]["activeTargets"]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            finally:
                if self.process.poll() is None:
                    self.kill()
        return self.process.returncode if self.process else None
