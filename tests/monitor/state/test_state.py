"""state.db: durable, single-writer, wary of what it finds."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.release import Release
from tests.support.waiting import until

from watchroom.errors import StoreError
from watchroom.monitor import files
from watchroom.monitor.oncall.incident import Firing, Incident, Outage
from watchroom.monitor.oncall.records import Records
from watchroom.monitor.state import schema
from watchroom.monitor.state.database import MOST_WAITING, StateDB
from watchroom.monitor.state.schema import FORMAT, OLDEST


def insert(name):
    def change(db):
        db.execute("INSERT INTO rule VALUES (?, 'x')", (name,))

    return change


def names(state):
    return {row[0] for row in state.read("SELECT id FROM rule")}


def test_what_a_future_confirmed_is_there_for_the_next_process(tmp_path):
    with StateDB(tmp_path) as state:
        state.write(insert("a")).result()
        assert names(state) == {"a"}
    with StateDB(tmp_path) as state:
        assert names(state) == {"a"}
        assert state.warnings == []


def test_commits_reach_the_disk_itself(tmp_path):
    with StateDB(tmp_path) as state:
        ask = "SELECT * FROM pragma_synchronous, pragma_journal_mode"
        asked = state.write(lambda db: db.execute(ask).fetchone())
        assert asked.result() == (2, "wal")  # 2 is FULL


def test_many_threads_share_one_writer(tmp_path):
    with StateDB(tmp_path) as state:
        futures = []

        def add(n):
            futures.append(state.write(insert(f"{n}")))

        threads = [threading.Thread(target=add, args=(n,)) for n in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for future in futures:
            future.result(5)
        assert len(names(state)) == 100


def test_behind_a_read_that_hangs_another_waits_for_so_long(tmp_path):
    release = threading.Event()
    with StateDB(tmp_path) as state, ThreadPoolExecutor(1) as threads:
        state.patience = 0.1
        state._reader.set_progress_handler(lambda: not release.wait(60), 1)
        first = threads.submit(state.read, "SELECT 1")
        until(state._reading.locked, what="it reads")
        with pytest.raises(StoreError, match=r"the disk took over 0\.1 s"):
            state.read("SELECT 1")
        release.set()
        assert first.result(10) == state.read("SELECT 1") == [(1,)]


def test_behind_a_disk_that_hangs_nobody_waits_for_room(tmp_path):
    hangs, release = threading.Event(), threading.Event()
    with StateDB(tmp_path) as state:
        state.write(lambda _: hangs.set() or release.wait(60))
        hangs.wait(60)
        asked = [state.write(lambda _: None) for _ in range(MOST_WAITING + 2)]
        error = asked[-1].exception(0)
        assert "10000 changes wait for the disk" in str(error)
        assert state.refused == 2
        state.patience = 0.05
        with pytest.raises(StoreError, match="wait for the disk"):
            state.commit(insert("a"))
        release.set()
        asked[0].result(60)
        state.patience = 60
        state.commit(insert("b"))
        assert names(state) == {"b"}


def test_whoever_waits_for_the_disk_does_not_wait_for_ever(tmp_path):
    release = threading.Event()
    with StateDB(tmp_path) as state:
        state.write(lambda _: release.wait(60))
        state.patience = 0.05
        with pytest.raises(StoreError, match=r"took over 0\.05 s"):
            state.commit(insert("a"))
        release.set()
        state.patience = 60
        state.commit(insert("b"))
        assert names(state) == {"a", "b"}


def test_a_change_that_fails_is_undone_alone(tmp_path):
    def half(db):
        insert("half")(db)
        raise KeyError("why")

    with StateDB(tmp_path) as state:
        before, broken, twice, after = (
            state.write(change)
            for change in (insert("a"), half, insert("a"), insert("b"))
        )
        before.result()
        with pytest.raises(KeyError):
            broken.result()
        with pytest.raises(StoreError, match="UNIQUE"):
            twice.result()
        after.result()
        assert names(state) == {"a", "b"}


def test_an_asker_that_is_cancelled_takes_neither_its_change_nor_the_writer_along(
    tmp_path,
):
    async def ask(state):
        slow = state.write(lambda _: time.sleep(0.2))
        waiting = asyncio.wrap_future(state.write(insert("a")))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wrap_future(slow)

    with StateDB(tmp_path) as state:
        asyncio.run(ask(state))
        state.write(insert("b")).result(5)
        assert names(state) == {"a", "b"}


@pytest.mark.parametrize("damage", ["garbage", "torn", "zeros"])
def test_a_corrupt_file_is_moved_aside_and_said(tmp_path, damage):
    path = tmp_path / "state.db"
    with StateDB(tmp_path) as state:
        for n in range(200):
            state.write(insert(f"{n}" * 50)).result()
    raw = path.read_bytes()
    path.write_bytes(
        {
            "garbage": b"not a database " * 1000,
            "torn": raw[:4096] + b"\xff" * 8192 + raw[12288:],
            "zeros": raw[:100] + bytes(len(raw) - 100),
        }[damage]
    )
    with StateDB(tmp_path) as state:
        (warning,) = state.warnings
        assert "corrupt" in warning
        assert names(state) == set()
        state.write(insert("a")).result()
    (aside,) = (
        p for p in tmp_path.glob("state.db.corrupt-*") if p.suffix[:4] != "-wal"
    )
    assert aside.name in warning


def definitions(state):
    """Return what each table and index is made of, without comments and quotes."""
    made = state.read("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    plain = {name: re.sub(r"--[^\n]*|\"", "", sql) for name, sql in made}
    return {name: " ".join(sql.split()) for name, sql in plain.items()}


@pytest.fixture
def of_release(tmp_path):
    """Return the state directory that watchroom 0.1 left."""
    return Release("0.1", tmp_path / "left").path / "state"


def test_a_file_of_the_last_release_gets_todays_tables_and_keeps_its_rows(
    of_release, tmp_path
):
    old = sqlite3.connect(of_release / "state.db")
    assert old.execute("PRAGMA user_version").fetchone() == (OLDEST,)
    counts = dict(
        old.execute(
            "SELECT 'notification_log', count(*) FROM told UNION ALL"
            " SELECT 'proof', count(*) FROM proof UNION ALL"
            " SELECT 'incident_event', count(*) FROM incident_event"
        )
    )
    old.close()
    assert min(counts.values()) > 0
    with StateDB(of_release) as state, StateDB(tmp_path) as fresh:
        assert state.warnings == []
        assert state.read("PRAGMA user_version") == [(FORMAT,)]
        assert definitions(state) == definitions(fresh)
        for table, count in counts.items():
            assert state.read(f"SELECT count(*) FROM {table}") == [(count,)]
        kinds = {kind for (kind,) in state.read("SELECT kind FROM incident_event")}
        assert kinds & {"notified", "paged"} == {"notified", "paged"}
        assert not kinds & {"told", "called", "unseen", "forgotten"}


def test_an_incident_of_the_last_release_keeps_every_field_and_every_label(
    of_release,
):
    """A label may be named as a field is; only fields have new names."""
    labels = {"alertname": "A", "by": "Ann", "first": "x", "before": "y"}
    body = {
        "id": 9, "group": {"by": "Ann"}, "title": "A", "priority": "P1",
        "state": "firing", "opened_ms": 3, "failed_ms": 1, "unanswered_ms": 2,
        "alerts": {"f": {"labels": labels, "annotations": {"called": "z"},
                         "began_ms": 1, "ended_ms": 2, "gone": True}},
        "first": "Ann", "titled": True, "called": ["ops"], "passed": ["pager"],
        "dropped": 4, "by": "Sue", "pages": ["p"],
        "before": [{"failed_ms": 0, "detected_ms": 1, "resolved_ms": 2}],
    }  # fmt: skip
    old = sqlite3.connect(of_release / "state.db", isolation_level=None)
    row = (9, "firing", 3, json.dumps(body))
    old.execute("INSERT INTO incident VALUES (?, ?, ?, ?)", row)
    old.close()
    with StateDB(of_release) as state:
        found = Records(state).incident(9)
        (text,) = state.read("SELECT body FROM incident WHERE id = 9")[0]
    assert found == Incident(
        id=9, group={"by": "Ann"}, title="A", priority="P1", state="firing",
        opened_ms=3, first_failure_ms=1, unacknowledged_ms=2,
        alerts={"f": Firing(labels, {"called": "z"}, 1, 2, series_missing=True)},
        first_contact="Ann", title_from_page=True, added_receivers=["ops"],
        informed_pagers=["pager"], events_dropped=4, opened_by="Sue",
        own_alerts=["p"], earlier_outages=[Outage(0, 1, 2)],
    )  # fmt: skip
    assert set(json.loads(text)) <= set(Incident.__struct_fields__)


def test_a_step_that_fails_leaves_the_file_as_it_was(of_release, monkeypatch):
    twice = "CREATE TABLE half (id); CREATE TABLE half (id);"
    with monkeypatch.context() as patched:
        patched.setattr(schema, "sql", lambda *where: files.sql(*where) + twice)
        with pytest.raises(StoreError, match="half already exists"):
            StateDB(of_release)
    old = sqlite3.connect(of_release / "state.db")
    assert old.execute("PRAGMA user_version").fetchone() == (OLDEST,)
    assert old.execute("SELECT count(*) FROM told").fetchone() != (0,)
    old.close()
    with StateDB(of_release) as state:
        assert state.warnings == []
        assert not state.read("SELECT 1 FROM sqlite_schema WHERE name = 'half'")


@pytest.mark.parametrize("old", range(1, OLDEST))
def test_a_format_from_before_the_first_release_is_refused_and_left_alone(
    tmp_path, old
):
    db = sqlite3.connect(tmp_path / "state.db")
    db.execute(f"PRAGMA user_version = {old}")
    db.close()
    with pytest.raises(StoreError, match=r"run watchroom 0\.1 on it first"):
        StateDB(tmp_path)
    assert not list(tmp_path.glob("*corrupt*"))


def test_a_newer_format_is_refused_and_left_alone(tmp_path):
    with StateDB(tmp_path):
        pass
    db = sqlite3.connect(tmp_path / "state.db")
    db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    db.close()
    with pytest.raises(StoreError, match=f"has format {FORMAT + 1}"):
        StateDB(tmp_path)
    assert not list(tmp_path.glob("*corrupt*"))


def test_a_directory_that_is_missing_is_an_error_with_its_name(tmp_path):
    with pytest.raises(StoreError, match="nowhere"):
        StateDB(tmp_path / "nowhere")


def test_after_close_nothing_is_taken_and_closing_again_is_fine(tmp_path):
    state = StateDB(tmp_path)
    last = state.write(insert("a"))
    state.close()
    assert last.result(0) is None
    state.close()
    with pytest.raises(StoreError, match="closed"):
        state.write(insert("b"))
    with pytest.raises(StoreError, match="closed"):
        state.read("SELECT 1")


def test_the_last_beat_is_known_to_the_next_process_and_costs_little(tmp_path):
    with StateDB(tmp_path) as state:
        assert state.last_beat_ms() is None
        started = time.perf_counter()
        for n in range(1000):
            state.beat(1_700_000_000_000 + n)
        print(f"{(time.perf_counter() - started) * 1000:.1f} µs a beat")
    with StateDB(tmp_path) as state:
        assert state.last_beat_ms() == 1_700_000_000_999
