"""Make what a release leaves behind, for the test of upgrades; run once per release.

    git worktree add /tmp/old v0.2
    python tests/upgrade/make.py tests/upgrade/0.2 /tmp/old/src

The first argument is a folder whose `project/` follows that release's README, the
second the code that runs. A real app, exporter and monitor of that code run for two
minutes: HttpOutage fires and is acknowledged, HighErrorRate is pending, OrdersUnpaid
fires unacknowledged, StockMissing fires and is silenced, one receiver refuses. Then
the monitor is stopped and `left.tar.xz` holds its built files, its state directory and
the exporter's last answer; `known.json` what a user knows: messages, link, logins.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.listener import Listener, listening
from tests.support.ports import free_port
from tests.support.release import Built, place
from tests.support.waiting import until
from tests.support.watched import Monitor, request

API = "/api/v1/watchroom"
CONTACTS = "contacts:\n  - {name: Ann, receivers: [ops]}\n  - {name: Ben}\n"


class Made:
    """The processes of one release, in a directory of their own."""

    def __init__(self, folder: Path, code: Path, path: Path) -> None:
        self.folder = folder
        self.path = path
        self.project = path / "project"
        shutil.copytree(folder / "project", self.project)
        with contextlib.closing(sqlite3.connect(self.project / "shop.sqlite3")) as db:
            db.execute("CREATE TABLE goods (name)")
        self.built = path / "built"
        self.app = f"127.0.0.1:{free_port()}"
        self.exporter = f"127.0.0.1:{free_port()}"
        os.environ["PYTHONPATH"] = str(code)
        os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
        os.environ["WATCHROOM_RUNTIME_DIR"] = str(path / "run")
        self.children: list[subprocess.Popen[bytes]] = []
        self.stopping = threading.Event()

    def build(self) -> None:
        """Build the files; those that run name free ports."""
        self.run("build", str(self.built), "--project", ".", "--settings", "settings")
        (self.built / "local" / "contacts.yml").write_text(CONTACTS)

    def run(self, *words: str) -> str:
        """Run a command of the release; return what it printed."""
        argv = [sys.executable, "-m", "watchroom", *words]
        done = subprocess.run(
            argv, cwd=self.project, check=False, capture_output=True, text=True
        )
        print(f"$ watchroom {' '.join(words)}\n{done.stdout}{done.stderr}")
        assert done.returncode == 0, words
        return done.stdout

    def start(self) -> None:
        """Start app and exporter, and visitors who can't pay."""
        wsgi = "django.core.wsgi:get_wsgi_application()"
        for argv in (
            ["gunicorn", wsgi, "--bind", self.app, "--log-level", "error"],
            ["watchroom", "exporter", "--listen", self.exporter],
        ):
            self.children.append(
                subprocess.Popen(
                    [sys.executable, "-m", *argv],
                    cwd=self.project,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        until(lambda: request(f"http://{self.app}/buy/").status == 200, 20)
        until(lambda: request(f"http://{self.exporter}/metrics").status == 200, 20)

    def visit(self) -> None:
        """Fail to pay until the end, five times a second."""
        while not self.stopping.wait(0.2):
            with contextlib.suppress(OSError):
                request(f"http://{self.app}/pay/")

    def stop(self) -> None:
        """End what was started."""
        self.stopping.set()
        for child in self.children:
            child.terminate()
            child.wait()


def login(monitor: Monitor) -> tuple[dict[str, str], dict[str, str]]:
    """Return two logins, the second logged out again."""
    kept, ended = monitor.login(), monitor.login()
    page = request(f"{monitor.url}/", **ended).body
    token = re.search(r'name="form_token" value="(\w+)"', page)[1]
    data = f"form_token={token}".encode()
    assert monitor.post("/logout", data, stranger=True, **ended).status == 303
    return kept, ended


def watch(made: Made, monitor: Monitor, pages: Listener, audit: Listener) -> dict:
    """Let it all happen; return what a user knows at the end."""
    own = ("--url", monitor.url)
    os.environ["STATE_DIRECTORY"] = str(monitor.state)  # its token, for the commands
    made.run("silence", "StockMissing", "--for", "24h", "--as", "Ben",
             "--reason", "the lorry comes tomorrow", *own)  # fmt: skip
    made.run("deploy", "2026.11.30-1", "--by", "CI", *own)
    made.run("drill", "OrdersUnpaid", "--dir", str(made.path / "placed"), "--force",
             "--exporter", f"http://{made.exporter}", *own)  # fmt: skip
    kept, ended = login(monitor)

    def ops(name: str) -> list[dict]:
        found = pages.messages("/ops")
        return [m for m in found if m["commonLabels"].get("alertname") == name]

    unpaid = until(lambda: ops("OrdersUnpaid"), 90, "a warning")[0]
    audit.status = 500
    threading.Thread(target=made.visit, daemon=True).start()
    outage = until(lambda: ops("HttpOutage"), 120, "the page")[0]
    until(lambda: pages.messages("/pager"), what="PagerDuty's event")
    until(lambda: [h for h in audit.heard if "HttpOutage" in h.text], what="refused")
    made.run(
        "ack", str(number(outage)), "--as", "Ann", "--reason", "rolling back", *own
    )
    time.sleep(8)  # for the acknowledgement's message, and some more samples
    alerts = monitor.get("/api/v1/alerts").json["data"]["alerts"]
    print(*[(a["labels"]["alertname"], a["state"]) for a in alerts])
    exposition = request(f"http://{made.exporter}/metrics").body
    (made.path / "exposition.txt").write_text(exposition)
    return {
        "alerts": [a for a in alerts if a["labels"]["severity"] != "none"],
        "incidents": [
            monitor.get(f"{API}/incidents/{number(m)}").json["data"]
            for m in (unpaid, outage)
        ],
        "silences": monitor.get("/api/v2/silences").json,
        "proofs": monitor.get(f"{API}/proofs").json["data"],
        "deploys": monitor.get(f"{API}/deploys").json["data"],
        "messages": {path: pages.messages(f"/{path}") for path in ("ops", "pager")}
        | {"audit": audit.messages()},
        "login": kept,
        "ended_login": ended,
        "answer_link": unpaid["alerts"][0]["annotations"]["ack_url"],
        "up": monitor.value("count_over_time(up{job='app'}[2m])"),
    }


def number(message: dict) -> int:
    """Return the incident that a message names."""
    return int(message["alerts"][0]["annotations"]["incident_url"].rpartition("/")[2])


def main() -> None:
    """Make one release's folder."""
    folder, code = (Path(word).absolute() for word in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as name, listening() as pages:
        path = Path(name)
        made = Made(folder, code, path)
        made.build()
        placed = path / "placed"
        shutil.copytree(made.built, placed)
        with listening() as audit:
            place(placed, made.exporter, f"127.0.0.1:{pages.port}", audit.url("/audit"))
            monitor = Monitor(Built(placed), path)
            try:
                made.start()
                monitor.start().ready()
                known = watch(made, monitor, pages, audit)
                assert monitor.stop() == 0
                known["stopped_at"] = time.time()
            finally:
                monitor.stop()
                made.stop()
                print(monitor.log.read_text() if monitor.log.exists() else "")
        write(folder, path, known)


def write(folder: Path, path: Path, known: dict) -> None:
    """Put the release's files into its folder."""
    (folder / "known.json").write_text(json.dumps(known, indent=1) + "\n")
    with tarfile.open(folder / "left.tar.xz", "w:xz", preset=9) as archive:
        archive.add(path / "built", "monitoring")
        archive.add(path / "state", "state")
        archive.add(path / "exposition.txt", "exposition.txt")
    print((folder / "left.tar.xz").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
