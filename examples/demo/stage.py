"""Everything the demo starts, in order, and the files it writes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from examples.ledger import front, services
from watchroom.errors import ConfigError, WatchroomError
from watchroom.lifeline import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WINDOW, FOR, INTERVAL = "15s", "5s", "1s"
_PORTS = {"app": 8000, "exporter": 9000, "monitor": 9700, "site": 8443}
_LEDGER = Path(__file__).parents[1] / "ledger"
_MARK, _OTHER = ".watchroom-demo", "choose another --dir"
# Who is called when nobody answers: the demo's own pager.
_CONTACTS = "contacts: [{name: Demo, receivers: [ops]}]\n"


class DemoError(WatchroomError):
    """A stage of the demo did not come true; `stage` is one word for it."""

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage


def claim(directory: Path) -> TextIO:
    """Empty a directory that is a demo's, or make it, or raise ConfigError.

    The file returned holds the claim while it is open: a second demo would empty the
    directory of the first.
    """
    mark = directory / _MARK
    try:
        if directory.exists() and any(directory.iterdir()) and not mark.exists():
            raise FileExistsError(0, "not empty, and not made by the demo")
        directory.mkdir(parents=True, exist_ok=True)
        held = mark.open("a")
        with contextlib.ExitStack() as stack:
            stack.callback(held.close)
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stack.pop_all()
        for path in directory.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path != mark:
                path.unlink()
        (directory / "logs").mkdir()
    except OSError as error:
        busy = isinstance(error, BlockingIOError)
        why = (
            "another demo is running in it"
            if busy
            else f"cannot be used: {error.strerror}"
        )
        raise ConfigError(why, file=directory, hint=_OTHER) from None
    return held


def free_port(usual: int) -> int:
    """Return a port of loopback that is free: the usual one, or another."""
    for port in (usual, 0):
        with (
            contextlib.suppress(OSError),
            socket.create_server(("127.0.0.1", port)) as probe,
        ):
            return int(probe.getsockname()[1])
    raise DemoError("start", "no free port on 127.0.0.1")


class Processes:
    """The children of one demo, each in a process group and with a log of its own."""

    def __init__(self, logs: Path, environ: Mapping[str, str]) -> None:
        self.logs = logs
        self.environ = dict(environ)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._asked = False

    def listen(self) -> None:
        """End at a signal, at the next `check`.

        Python swallows what a handler raises while a child is forked.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self._asked = True

    def start(
        self, name: str, argv: Sequence[str], *, cwd: Path, **environ: str
    ) -> None:
        """Start a server; its output goes to ``<logs>/<name>.log``."""
        with (self.logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own argv
                argv,
                cwd=cwd,
                env=self.environ | environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl
            )

    def run(
        self, name: str, argv: Sequence[str], *, cwd: Path, worst: int = 0, **env: str
    ) -> str:
        """Run a step to its end and return its output.

        Raises DemoError with its last lines where the exit code is over `worst`.
        """
        self.start(name, argv, cwd=cwd, **env)
        while (code := self._running[name].poll()) is None and not self._asked:
            time.sleep(0.05)
        if self._asked or code is None:
            raise KeyboardInterrupt
        del self._running[name]
        if not 0 <= code <= worst:
            raise self.ended(name, code)
        return (self.logs / f"{name}.log").read_text(errors="replace")

    def check(self) -> None:
        """Raise DemoError when a server has died, KeyboardInterrupt after a signal."""
        if self._asked:
            raise KeyboardInterrupt
        for name, process in self._running.items():
            if (code := process.poll()) is not None:
                raise self.ended(name, code)

    def tail(self, name: str, lines: int = 12) -> str:
        """Return the last lines of a child's log."""
        path = self.logs / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])

    def stop(self) -> None:
        """Stop everything: SIGTERM to each group, SIGKILL to what stays."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in self._running.values():
                # Also when the leader has left: its children may have not.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, number)
            end = time.monotonic() + 8
            for process in self._running.values():
                while process.poll() is None and time.monotonic() < end:
                    time.sleep(0.05)
        self._running.clear()

    def ended(self, name: str, code: int) -> DemoError:
        """Return the error of a child that ended, with its last words."""
        words = f"{name} ended with exit code {code}; last log lines:\n"
        return DemoError(name, words + self.tail(name))


class Stage:
    """The demo's processes and where they listen; pages go to `page_urls`.

    Raises ConfigError where the directory or a service is not the demo's.
    """

    def __init__(self, directory: Path, page_urls: Sequence[str], rate: float) -> None:
        self.directory = directory
        self.monitoring = directory / "monitoring"
        self._ports = {name: str(free_port(usual)) for name, usual in _PORTS.items()}
        self.app_url = f"http://127.0.0.1:{self._ports['app']}/"
        self.exporter_url = f"http://127.0.0.1:{self._ports['exporter']}/"
        self.monitor_url = f"http://127.0.0.1:{self._ports['monitor']}/"
        self.site_url = f"https://localhost:{self._ports['site']}/"
        self._rate = rate
        self.services = services.claim()
        self._claim = claim(directory)
        self.processes = Processes(directory / "logs", self._environ(page_urls))

    def prepare(self) -> None:
        """Create the database and the certificate, and build the monitoring files."""
        self._chain, self._authority = front.certificate(self.directory)
        (self.monitoring / "local").mkdir(parents=True)
        (self.monitoring / "local" / "contacts.yml").write_text(_CONTACTS)
        build = ["-m", "watchroom", "build", str(self.monitoring), "--project", "."]
        build += ["--settings", "ledger.settings", "--interval", INTERVAL]
        build += ["--window", WINDOW, "--for", FOR]
        for name, words in (
            ("migrate", ["manage.py", "migrate"]),
            ("seed", ["manage.py", "seed"]),
            ("build", build),
        ):
            self.processes.run(name, [sys.executable, *words], cwd=_LEDGER)

    def start(self) -> None:
        """Start app, worker, beat and exporter, and TLS before the app."""
        # Only here: the monitor may have webhooks to verify.
        trusted = str(self._authority)
        self._start("exporter", "-m", "watchroom", "exporter", SSL_CERT_FILE=trusted)
        bind = f"127.0.0.1:{self._ports['app']}"
        self._start("app", "-m", "gunicorn", "--bind", bind, "ledger.wsgi")
        celery = ("-m", "celery", "-A", "ledger")
        self._start("worker", *celery, "worker", "--concurrency", "1")
        self._start("beat", *celery, "beat")
        chain, ports = str(self._chain), self._ports
        self._start("site", "front.py", chain, ports["site"], ports["app"])

    def watch(self) -> None:
        """Start the load generator and the monitor.

        Not before all else works: what paged while a slow machine still starts it would
        be the cause, for minutes, that a page of the story's fault is muted for.
        """
        rate = ("--rate", str(self._rate), "--seconds", "0")
        self._start("load", "load.py", "--url", self.app_url, *rate)
        words = ["run", str(self.monitoring), "--storage.path"]
        words += [str(self.directory / "state"), "--listen"]
        self._start("monitor", "-m", "watchroom", *words, self.monitor_url[7:-1])

    def ask(self, command: str) -> dict[str, Any]:
        """Return what `watchroom COMMAND` says as JSON of the demo's monitor."""
        words = [command, str(self.monitoring), "--url", self.monitor_url, "--json"]
        # The monitor's token is there, and the site's certificate is the demo's.
        said = self.processes.run(
            command,
            [sys.executable, "-m", "watchroom", *words],
            cwd=_LEDGER,
            worst=3,
            STATE_DIRECTORY=str(self.directory / "state"),
            SSL_CERT_FILE=str(self._authority),
        )
        try:
            # Only the answer itself begins a line with a brace.
            return dict(json.loads("{" + f"\n{said}".rpartition("\n{")[2]))
        except ValueError:
            raise self.processes.ended(command, 0) from None

    def stop(self) -> None:
        """Stop everything and give the directory up; its files stay."""
        self.processes.stop()
        self._claim.close()

    def _start(self, name: str, *words: str, **environ: str) -> None:
        argv = [sys.executable, *words]
        self.processes.start(name, argv, cwd=_LEDGER, **environ)

    def _environ(self, page_urls: Sequence[str]) -> dict[str, str]:
        # Nothing of the caller's own watchroom or Django may leak into the demo.
        foreign = ("WATCHROOM_", "LEDGER_", "DJANGO_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        return kept | {
            "DJANGO_SETTINGS_MODULE": "ledger.settings",
            "LEDGER_DATA_DIR": str(self.directory / "data"),
            "LEDGER_ENVIRONMENT": "demo",
            "LEDGER_EXPORTER": f"127.0.0.1:{self._ports['exporter']}",
            "LEDGER_FAULTS": "1",
            "LEDGER_HEALTH_URL": self.app_url[:-1],
            "LEDGER_MONITOR_URL": self.monitor_url,
            "LEDGER_PAGE_URLS": " ".join(page_urls),
            "LEDGER_SITES": self.site_url,
            "PYTHONUNBUFFERED": "1",
            "WATCHROOM_RUNTIME_DIR": str(self.directory / "run"),
        }
