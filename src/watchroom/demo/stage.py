"""Everything the demo starts, in order, and the files it writes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from watchroom.demo import front, services
from watchroom.demo.processes import DemoError, Processes, free_port
from watchroom.errors import ConfigError

WINDOW = "15s"
FOR = "5s"
INTERVAL = "1s"
_MARK = ".watchroom-demo"
CONTACTS = """\
# Who is called when nobody answers. The demo calls its own pager.
contacts:
  - name: Demo
    receivers: [ops]
"""


class Ports(NamedTuple):
    """The loopback ports of one demo."""

    app: int
    exporter: int
    monitor: int
    site: int


USUAL = Ports(app=8000, exporter=9000, monitor=9700, site=8443)


def ledger() -> Path:
    """Return the sample app's directory, in the checkout that watchroom runs from.

    Raises:
        ConfigError: It runs from an installed package.
    """
    path = Path(__file__).parents[3] / "examples" / "ledger"
    if not (path / "manage.py").exists():
        raise ConfigError(
            "the sample app is not in the installed package",
            hint="the demo runs from a checkout of the repository: make demo",
        )
    return path


def claim(directory: Path) -> TextIO:
    """Empty `directory` for this demo, if it is a demo's or does not exist.

    Returns:
        A file that holds the claim while it is open: a second demo would empty the
        directory of the first.

    Raises:
        ConfigError: It holds something else, another demo runs in it, or it cannot be
            written.
    """
    try:
        return _claim(directory)
    except BlockingIOError:
        raise ConfigError(
            "another demo runs in it",
            file=directory,
            hint="stop that one, or give another --dir",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"cannot be used: {error.strerror}",
            file=error.filename or directory,
            hint="give another --dir",
        ) from error


def _claim(directory: Path) -> TextIO:
    mark = directory / _MARK
    if directory.exists() and any(directory.iterdir()) and not mark.exists():
        raise ConfigError(
            "not empty, and not made by the demo",
            file=directory,
            hint="give another --dir",
        )
    directory.mkdir(parents=True, exist_ok=True)
    held = mark.open("a")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _empty(directory)
        (directory / "logs").mkdir()
    except OSError:
        held.close()
        raise
    return held


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _MARK:
            path.unlink()


class Stage:
    """The demo's processes and where they listen.

    Args:
        directory: For its files, logs and databases; emptied first.
        page_urls: Webhook URLs that pages go to, the demo's own first.
        rate: Requests per second of the load generator.

    Raises:
        ConfigError: The directory is not a demo's, another demo runs in it, or the
            sample app is not there, or a service is not for the demo.
        DemoError: No port is free.
    """

    def __init__(self, directory: Path, page_urls: list[str], rate: float) -> None:
        self.directory = directory
        self.monitoring = directory / "monitoring"
        self.ports = Ports(*map(free_port, USUAL))
        self._rate = rate
        self._ledger = ledger()
        self._claim = claim(directory)
        try:
            self.services = services.claim()
        except ConfigError:
            self._claim.close()
            raise
        self.processes = Processes(directory / "logs", self._environ(page_urls))

    @property
    def app_url(self) -> str:
        """The sample app's first page."""
        return f"http://127.0.0.1:{self.ports.app}/"

    @property
    def site_url(self) -> str:
        """The sample app as the public sees it: through TLS."""
        return f"https://localhost:{self.ports.site}/"

    @property
    def monitor_url(self) -> str:
        """The monitor's first page."""
        return f"http://127.0.0.1:{self.ports.monitor}/"

    @property
    def exporter_url(self) -> str:
        """The exporter; its exposition is at `metrics` below."""
        return f"http://127.0.0.1:{self.ports.exporter}/"

    def prepare(self) -> None:
        """Create the database and the certificate, and build the monitoring files."""
        python = sys.executable
        self._certificate = front.certificate(self.directory)
        local = self.monitoring / "local"
        local.mkdir(parents=True)
        (local / "contacts.yml").write_text(CONTACTS)
        self.processes.run(
            "migrate", [python, "manage.py", "migrate"], cwd=self._ledger
        )
        self.processes.run("seed", [python, "manage.py", "seed"], cwd=self._ledger)
        self.processes.run(
            "build",
            [
                *_watchroom("build", str(self.monitoring), "--project", "."),
                *("--settings", "ledger.settings", "--interval", INTERVAL),
                *("--window", WINDOW, "--for", FOR),
            ],
            cwd=self._ledger,
        )

    def start(self) -> None:
        """Start app, worker, beat and exporter, and TLS before the app."""
        python, start = sys.executable, self.processes.start
        start(
            "exporter",
            _watchroom("exporter"),
            cwd=self._ledger,
            # Only here: the monitor may have webhooks to verify.
            SSL_CERT_FILE=str(self._certificate.authority),
        )
        start(
            "app",
            [
                *(python, "-m", "gunicorn"),
                *("--bind", f"127.0.0.1:{self.ports.app}", "ledger.wsgi"),
            ],
            cwd=self._ledger,
        )
        start(
            "worker",
            [python, "-m", "celery", "-A", "ledger", "worker", "--concurrency", "1"],
            cwd=self._ledger,
        )
        start(
            "beat", [python, "-m", "celery", "-A", "ledger", "beat"], cwd=self._ledger
        )
        start(
            "site",
            [
                *(python, "-m", "watchroom.demo.front"),
                *(str(self._certificate.chain), str(self.ports.site)),
                str(self.ports.app),
            ],
            cwd=self.directory,
        )

    def watch(self) -> None:
        """Start the monitor.

        Not before all else works: what paged while a slow machine still starts it would
        be the cause, for minutes, that a page of the story's fault is muted for.
        """
        self.processes.start(
            "monitor",
            [
                *_watchroom("run", str(self.monitoring)),
                *("--listen", f"127.0.0.1:{self.ports.monitor}"),
                *("--storage.path", str(self.directory / "state")),
            ],
            cwd=self.directory,
        )

    def load(self) -> None:
        """Start the load generator."""
        self.processes.start(
            "load",
            [
                *(sys.executable, str(self._ledger / "load.py")),
                *("--url", self.app_url, "--rate", str(self._rate), "--seconds", "0"),
            ],
            cwd=self._ledger,
        )

    def check(self) -> dict[str, Any]:
        """Return what `watchroom check` finds of the running demo.

        Raises:
            DemoError: It could not be run.
        """
        return self._told("check", str(self.monitoring), "--url")

    def login_link(self) -> str:
        """Return a link that logs a browser in at the monitor, once.

        Raises:
            DemoError: The monitor gave none.
        """
        return str(self._told("login", str(self.monitoring), "--url")["url"])

    def _told(self, *words: str) -> dict[str, Any]:
        """Return what a command of watchroom tells as JSON of the demo's monitor."""
        # The monitor's token is there, and the site's certificate is the demo's.
        environ = {
            "STATE_DIRECTORY": str(self.directory / "state"),
            "SSL_CERT_FILE": str(self._certificate.authority),
        }
        command = [*_watchroom(*words), self.monitor_url, "--json"]
        text = self.processes.ask(words[0], command, cwd=self.directory, **environ)
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError:
            said = self.processes.tail(words[0])
            raise DemoError(words[0], f"it has no result\n{said}") from None
        return found

    def stop(self) -> None:
        """Stop everything and give the directory up; its files stay."""
        self.processes.stop()
        self._claim.close()

    def _environ(self, page_urls: list[str]) -> dict[str, str]:
        # Nothing of the caller's own watchroom or Django may leak into the demo.
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("WATCHROOM_", "LEDGER_", "DJANGO_"))
        }
        return kept | {
            "DJANGO_SETTINGS_MODULE": "ledger.settings",
            "LEDGER_DATA_DIR": str(self.directory / "data"),
            "LEDGER_ENVIRONMENT": "demo",
            "LEDGER_EXPORTER": f"127.0.0.1:{self.ports.exporter}",
            "LEDGER_FAULTS": "1",
            "LEDGER_HEALTH_URL": f"http://127.0.0.1:{self.ports.app}",
            "LEDGER_MONITOR_URL": self.monitor_url,
            "LEDGER_PAGE_URLS": " ".join(page_urls),
            "LEDGER_SITES": self.site_url,
            "PYTHONUNBUFFERED": "1",
            "WATCHROOM_RUNTIME_DIR": str(self.directory / "run"),
        }


def _watchroom(*words: str) -> list[str]:
    return [sys.executable, "-m", "watchroom", *words]
