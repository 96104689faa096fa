"""A PostgreSQL server of Debian's packages, for one test session."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.ports import free_port


def binaries() -> Path:
    """Return the directory of the newest server's programs, or skip the test."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not found:
        pytest.skip("needs Debian's postgresql")
    return found[-1].parent


class Server(NamedTuple):
    """A server under test.

    Attributes:
        url: Of its database, as its owner.
        port: On 127.0.0.1.
        control: Runs pg_ctl with these words.
    """

    url: str
    port: int
    control: Callable[..., None] | None

    def url_of(self, role: str) -> str:
        """Return the URL for another role."""
        return f"postgres://{role}@127.0.0.1:{self.port}/ledger"

    def stop(self) -> None:
        """Stop it, as a crash of the machine would look to its clients."""
        assert self.control is not None
        self.control("stop", "-m", "immediate")

    def start(self) -> None:
        """Start it again, over the same files."""
        assert self.control is not None
        self.control("start")


@contextmanager
def postgres(*options: str) -> Iterator[str]:
    """Run a server with an empty database and yield its URL."""
    with server(*options) as found:
        yield found.url


@contextmanager
def server(*options: str) -> Iterator[Server]:
    """Run a server with an empty database and yield it.

    The server refuses to be root, so root lends it the account of Debian's package.
    """
    programs = binaries()
    runas = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    # Not pytest's directory: only its owner may enter that.
    folder = Path(tempfile.mkdtemp(prefix="watchroom-postgres-"))
    if runas:
        shutil.chown(folder, "postgres")
    data, port = folder / "data", free_port()

    def run(program: str, *words: str) -> None:
        done = subprocess.run(
            [*runas, str(programs / program), *words],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    settings = [f"port={port}", "listen_addresses=127.0.0.1", "fsync=off", *options]
    flags = " ".join(f"-c {setting}" for setting in settings)
    try:
        run("initdb", "-D", str(data), "-U", "ledger", "-A", "trust", "--no-sync")
        log = str(folder / "log")
        words = ("-D", str(data), "-l", log, "-o", f"{flags} -k {folder}", "-w")

        def control(verb: str, *more: str) -> None:
            run("pg_ctl", verb, *(words if verb == "start" else words[:2]), *more)

        control("start")
        try:
            run(
                "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "ledger", "ledger"
            )
            url = f"postgres://ledger@127.0.0.1:{port}/ledger"
            yield Server(url, port, control)
        finally:
            control("stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
