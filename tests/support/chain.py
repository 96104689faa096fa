"""The whole chain for tests: ledger, exporter, monitor and the real pair."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from examples.demo.stage import Processes
from tests.support.hook import Hook
from tests.support.ports import free_port
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

LEDGER = Path(__file__).parents[2] / "examples" / "ledger"


def judge(name: str) -> str:
    """Return the path of a real server, or skip: WATCHROOM_JUDGES, then Debian's."""
    plain = name.removeprefix("prometheus-")
    chosen = os.environ.get("WATCHROOM_JUDGES")
    if chosen and (Path(chosen) / plain).exists():
        return str(Path(chosen) / plain)
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs Debian's {name}")
    return found


def get(url: str, timeout: float = 5) -> Any:
    """Return the JSON at `url`."""
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return json.load(answer)


class Chain:
    """Ports, files and processes of one chain in one temporary directory."""

    def __init__(self, directory: Path, hook: Hook, **environ: str) -> None:
        self.directory = directory
        self.hook = hook
        self.monitoring = directory / "monitoring"
        self.runtime = directory / "run"
        (directory / "logs").mkdir()
        ports = {name: free_port() for name in ("app", "exporter", "monitor")}
        self.app = f"http://127.0.0.1:{ports['app']}/"
        self.exporter = f"http://127.0.0.1:{ports['exporter']}"
        self.monitor = f"http://127.0.0.1:{ports['monitor']}"
        self.prometheus = f"http://127.0.0.1:{free_port()}"
        self.alertmanager = f"http://127.0.0.1:{free_port()}"
        self.environ = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "ledger.settings",
            "LEDGER_DATA_DIR": str(directory / "data"),
            "LEDGER_DEMO": "1",
            "LEDGER_ENVIRONMENT": "test",
            "LEDGER_EXPORTER": self.exporter.removeprefix("http://"),
            "LEDGER_FAULTS": "1",
            "LEDGER_MONITOR_URL": self.monitor,
            "LEDGER_PAGE_URLS": hook.url,
            "LEDGER_SITES": self.app,
            # Clients find the monitor's token there, and keep results without one.
            "STATE_DIRECTORY": str(directory / "state"),
            "WATCHROOM_RUNTIME_DIR": str(self.runtime),
            **environ,
        }
        self.processes = Processes(directory / "logs", self.environ)

    def manage(self, *words: str) -> None:
        self.processes.run(words[0], [sys.executable, "manage.py", *words], cwd=LEDGER)

    def build(self, *words: str) -> None:
        """Build the files; the real Alertmanager's address is written in."""
        self.processes.run(
            "build",
            [
                *(sys.executable, "-m", "watchroom", "build", str(self.monitoring)),
                *("--project", ".", "--settings", "ledger.settings"),
                *("--alertmanager", self.alertmanager.removeprefix("http://")),
                *words,
            ],
            cwd=LEDGER,
        )

    def watchroom(
        self, *words: str, seconds: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of watchroom to its end, whatever that is."""
        done = subprocess.run(
            [sys.executable, "-m", "watchroom", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        print(done.stderr)
        return done

    def start_exporter(self, *program: str) -> None:
        argv = [sys.executable, *(program or ("-m", "watchroom")), "exporter"]
        self.processes.start("exporter", argv, cwd=LEDGER)
        self.ready(f"{self.exporter}/-/healthy", "exporter")

    def start_app(self, *words: str) -> None:
        bind = self.app.removeprefix("http://").rstrip("/")
        self.processes.start(
            "app",
            [sys.executable, "-m", "gunicorn", "ledger.wsgi", "--bind", bind, *words],
            cwd=LEDGER,
        )
        self.ready(self.app, "app")

    def start_site(self, chain: Path, port: int) -> None:
        """Take TLS for the app."""
        app = self.app.rstrip("/").rpartition(":")[2]
        words = [str(LEDGER / "front.py"), str(chain), str(port), app]
        self.processes.start("site", [sys.executable, *words], cwd=self.directory)

    def start_worker(self) -> None:
        """Start a Celery worker with beat in it."""
        self.processes.start(
            "worker",
            [
                *(sys.executable, "-m", "celery", "-A", "ledger", "worker", "-B"),
                *("--concurrency", "1"),
            ],
            cwd=LEDGER,
        )

    def start_monitor(self, *words: str) -> None:
        self.processes.start(
            "monitor",
            [
                *(sys.executable, "-m", "watchroom", "run", str(self.monitoring)),
                *("--listen", self.monitor.removeprefix("http://")),
                *("--storage.path", str(self.directory / "state"), *words),
            ],
            cwd=self.directory,
        )
        self.ready(f"{self.monitor}/-/ready", "monitor")

    def start_pair(self) -> None:
        """Start the real Prometheus and Alertmanager over the same directory."""
        self.processes.start(
            "alertmanager",
            [
                judge("prometheus-alertmanager"),
                f"--config.file={self.monitoring / 'alertmanager.yml'}",
                f"--storage.path={self.directory / 'am'}",
                f"--web.listen-address={self.alertmanager.removeprefix('http://')}",
                "--cluster.listen-address=",
            ],
            cwd=self.directory,
        )
        self.processes.start(
            "prometheus",
            [
                judge("prometheus"),
                f"--config.file={self.monitoring / 'prometheus.yml'}",
                f"--storage.tsdb.path={self.directory / 'tsdb'}",
                f"--web.listen-address={self.prometheus.removeprefix('http://')}",
                "--web.enable-lifecycle",
            ],
            cwd=self.directory,
        )
        self.ready(f"{self.alertmanager}/-/ready", "alertmanager")
        self.ready(f"{self.prometheus}/-/ready", "prometheus")

    def ready(self, url: str, name: str, status: int = 200) -> None:
        """Wait until `url` answers with `status`."""

        def answers() -> bool:
            self.processes.check()
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    return bool(answer.status == status)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code == status

        until(answers, 40, f"{name} answers at {url}\n{self.processes.tail(name, 30)}")

    def start_load(self, rate: float = 20) -> None:
        self.processes.start(
            "load",
            [
                *(sys.executable, str(LEDGER / "load.py"), "--url", self.app),
                *("--rate", str(rate), "--seconds", "0", "--json"),
            ],
            cwd=LEDGER,
        )

    def fault(self, **switches: object) -> None:
        request = urllib.request.Request(
            f"{self.app}faults/",
            data=json.dumps(switches).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()

    def query(self, server: str, expr: str, at: float | None = None) -> list[Any]:
        """Return the result of an instant query."""
        words = {"query": expr} | ({} if at is None else {"time": repr(at)})
        url = f"{server}/api/v1/query?{urllib.parse.urlencode(words)}"
        return get(url)["data"]["result"]

    def pid(self, name: str) -> int:
        return self.processes._running[name].pid

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Signal a server's whole process group; after SIGKILL it is forgotten."""
        process = self.processes._running[name]
        os.killpg(process.pid, number)
        if number == signal.SIGKILL:
            process.wait()
            del self.processes._running[name]


def children(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in text.split()]


@contextmanager
def chain(directory: Path, **environ: str) -> Iterator[Chain]:
    """Yield a chain with nothing started; stop whatever was."""
    hook = Hook()
    made = Chain(directory, hook, **environ)
    try:
        yield made
    finally:
        for process in made.processes._running.values():
            # A stopped process would not see SIGTERM; one that died needs neither.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGCONT)
        made.processes.stop()
        hook.close()
