"""The first page is made though the disk hangs or fails."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import pytest

from watchroom.monitor.console.overview import disk as disks
from watchroom.monitor.console.overview.disk import Disk
from watchroom.monitor.notify.ledger import Ledger
from watchroom.monitor.oncall.records import Records
from watchroom.monitor.state.database import StateDB
from watchroom.monitor.state.proofs import Proofs


@pytest.fixture
def services(tmp_path):
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "TooHigh.md").write_text("# TooHigh")
    state = StateDB(tmp_path)
    yield SimpleNamespace(
        state=state,
        ledger=Ledger(state),
        proofs=Proofs(state),
        oncall=SimpleNamespace(records=Records(state)),
        config=SimpleNamespace(root=tmp_path),
        now=lambda: 1_700_000_000.0,
    )
    state.close()


def test_while_the_disk_hangs_what_was_read_stands_and_one_thread_waits(
    services, monkeypatch
):
    monkeypatch.setattr(disks, "_PATIENCE_SECONDS", 0.2)  # not 2 s
    release = threading.Event()

    async def story():
        disk = Disk(services)
        before = await disk.read()
        assert before.runbooks == {"TooHigh"}
        # SQLite itself waits, in the middle of a read.
        services.state._reader.set_progress_handler(lambda: not release.wait(60), 1)
        threads = threading.active_count()
        for _ in range(3):
            kept = await disk.read()
            assert kept.problem.startswith("the disk isn't responding: this page")
            assert kept._replace(problem="") == before
        assert threading.active_count() - threads <= 1
        (services.config.root / "runbooks" / "New.md").write_text("# New")
        release.set()
        while (after := await disk.read()).problem:
            pass
        assert (after.problem, after.runbooks) == ("", {"TooHigh", "New"})

    asyncio.run(story())


def test_a_disk_that_fails_takes_nothing_from_the_page_either(services):
    async def story():
        disk = Disk(services)
        before = await disk.read()
        services.state.close()
        after = await disk.read()
        assert after.problem.startswith("state.db is closed: this page")
        assert after._replace(problem="") == before

    asyncio.run(story())
