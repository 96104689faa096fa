"""With any part of the watch broken, the app answers as before and nothing dies."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.support.chain import Chain, chain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
PATHS = ("", "invoices/", "customers/", "journal/", "no-such-page/")


def asked(app: str) -> tuple[list[tuple[str, int, int]], float]:
    """Return (path, status, length) of each answer, and the median seconds taken.

    Asked twelve times each, so that each of the four workers is met.
    """
    found, times = [], []
    for _ in range(12):
        for path in PATHS:
            begun = time.perf_counter()
            try:
                with urllib.request.urlopen(app + path, timeout=10) as answer:
                    found.append((path, answer.status, len(answer.read())))
            except urllib.error.HTTPError as error:
                with error:
                    found.append((path, error.code, len(error.read())))
            times.append(time.perf_counter() - begun)
    return found, statistics.median(times)


def workers(ledger: Chain) -> set[int]:
    """Return the pids of gunicorn's workers."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(ledger.pid("app"))],
        capture_output=True,
        text=True,
        check=True,
    )
    return {int(pid) for pid in found.stdout.split()}


def test_with_each_part_broken_in_turn_the_app_answers_as_before(
    ledger: Chain,
) -> None:
    ledger.build("--interval", "1s", "--window", "15s", "--for", "4s")
    ledger.start_exporter()
    ledger.start_app()
    ledger.start_monitor()
    before, usual = asked(ledger.app)
    alive = workers(ledger)
    assert len(alive) == 4

    def unchanged(what: str) -> None:
        after, took = asked(ledger.app)
        print(f"{what}: median {took * 1e3:.2f} ms, before {usual * 1e3:.2f} ms")
        assert after == before
        assert workers(ledger) == alive

    ledger.kill("monitor")
    unchanged("monitor killed")
    ledger.kill("exporter")
    unchanged("exporter killed")
    # Root may write anywhere, so a read-only directory is one only for others.
    ledger.runtime.chmod(0o500)
    unchanged("runtime directory read-only")
    ledger.runtime.chmod(0o2770)
    shutil.rmtree(ledger.runtime)
    unchanged("runtime directory deleted")
    ledger.start_exporter()
    unchanged("exporter back on an empty directory")


@pytest.mark.parametrize("place", ["/proc/no-such-place", "/dev/null/file"])
def test_a_runtime_directory_that_cannot_be_made_changes_no_answer(
    tmp_path: Path, place: str
) -> None:
    with chain(tmp_path, WATCHROOM_RUNTIME_DIR=place) as ledger:
        ledger.manage("migrate")
        ledger.manage("seed")
        ledger.start_app()
        with_it, _ = asked(ledger.app)
        assert {status for _, status, _ in with_it} == {200, 404}
        assert len(workers(ledger)) == 4


@contextmanager
def small_tmpfs(path: Path) -> Iterator[Path]:
    """Mount a tmpfs of 64 KiB at `path`, or skip."""
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(path)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("needs the right to mount a tmpfs (root)")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_tmpfs_changes_no_answer_and_kills_no_process(tmp_path: Path) -> None:
    with (
        small_tmpfs(tmp_path / "shm") as shm,
        chain(tmp_path, WATCHROOM_RUNTIME_DIR=str(shm / "run")) as ledger,
    ):
        ledger.manage("migrate")
        ledger.manage("seed")
        (shm / "run").mkdir()
        with (shm / "ballast").open("wb") as ballast:
            room = os.statvfs(shm)
            ballast.write(b"x" * (room.f_bavail * room.f_frsize))
        ledger.start_app()
        full, _ = asked(ledger.app)
        alive = workers(ledger)
        assert len(alive) == 4
        (shm / "ballast").unlink()
        again, _ = asked(ledger.app)
        assert again == full
        assert {status for _, status, _ in full} == {200, 404}
        assert workers(ledger) == alive


def test_switched_off_it_is_not_there_at_all(tmp_path: Path) -> None:
    with chain(tmp_path, WATCHROOM_ENABLED="0") as ledger:
        ledger.manage("migrate")
        ledger.manage("seed")
        ledger.start_app()
        found, _ = asked(ledger.app)
        assert {status for _, status, _ in found} == {200, 404}
        assert not ledger.runtime.exists() or not any(ledger.runtime.iterdir())
