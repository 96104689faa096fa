"""What a released watchroom left behind: unpacked, and at addresses of a test's own."""

from __future__ import annotations

import json
import tarfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.support.watched import Monitor

RELEASES = Path(__file__).parents[1] / "upgrade"
EXPORTER = "127.0.0.1:9000"  # as it stands in the built files
PAGER = "127.0.0.1:5001"

# The moment after the old monitor was stopped, whenever the test runs: links, logins,
# silences and retries are then as old as in an upgrade, and nothing stored is changed.
PROGRAM = """
import runpy, time
real = time.time
time.time = lambda: real() - {!r}
runpy.run_module("watchroom", run_name="__main__")
"""


def place(monitoring: Path, exporter: str, pages: str, audit: str) -> None:
    """Let built files name these addresses; every label stays as it was.

    Args:
        monitoring: The built directory.
        exporter: HOST:PORT of what is scraped.
        pages: HOST:PORT of two receivers.
        audit: The URL of the third.
    """
    path = monitoring / "prometheus.yml"
    named = f"- {EXPORTER}\n"
    text = path.read_text()
    assert text.count(named) == 1, text
    text = text.replace(
        named, f"- {exporter}\n        labels: {{instance: {EXPORTER}}}\n"
    )
    path.write_text(text.replace(f"http://{EXPORTER}/", f"http://{exporter}/"))
    path = monitoring / "alertmanager.yml"
    text = path.read_text().replace(PAGER, pages)
    path.write_text(text.replace(f"http://{EXPORTER}/", f"http://{exporter}/"))
    secrets = monitoring / "secrets"
    secrets.mkdir(mode=0o700, exist_ok=True)
    for name, text in {
        "ops_webhook": f"http://{pages}/ops",
        "audit_webhook": audit,
        "pagerduty_key": "0" * 32,
    }.items():
        (secrets / name).write_text(text)
        (secrets / name).chmod(0o600)


class Built(NamedTuple):
    """Built files, where `Monitor` looks for them."""

    path: Path


class Release:
    """The files of one release in a directory of a test.

    Attributes:
        known: What `make.py` wrote down while the old monitor ran.
        built: The built directory, as it was.
        monitoring: A copy of it that names the test's addresses.
    """

    def __init__(self, name: str, tmp_path: Path) -> None:
        self.folder = RELEASES / name
        self.known = json.loads((self.folder / "known.json").read_text())
        with tarfile.open(self.folder / "left.tar.xz") as archive:
            archive.extractall(tmp_path, filter="data")
        self.path = tmp_path
        self.built = tmp_path / "monitoring"
        self.monitoring = tmp_path / "placed"
        self.exposition = (tmp_path / "exposition.txt").read_text()

    def monitor(self, after: float) -> Monitor:
        """Return today's monitor, for `after` seconds after the old one's end."""
        monitor = Monitor(Built(self.monitoring), self.path)
        behind = time.time() - self.known["stopped_at"] - after
        monitor.program = ("-c", PROGRAM.format(behind))
        return monitor
