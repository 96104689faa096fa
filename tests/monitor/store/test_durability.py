from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from watchroom.errors import StoreError
from watchroom.monitor.store import Store
from watchroom.promql.model import Matcher, labels_of
from watchroom.runtime.filesystem import network_filesystem

START = 1_800_000_000_000

# Appends rows whose every value is the row's number, and says each one when done.
# Time runs 600 times as fast, so that blocks are cut and merged under the kills.
_CHILD = """
import sys, time
from pathlib import Path
from watchroom.monitor.store import Store
from watchroom.promql.model import labels_of
began, first, step = time.time(), int(sys.argv[2]), 15_000
clock = [first * step / 1000]
store = Store(Path(sys.argv[1]), now=lambda: 1_800_000_000 + clock[0])
labels = [labels_of({"__name__": "n_total", "i": str(i)}) for i in range(40)]
number = first
while True:
    clock[0] = number * step / 1000
    for target in ("a", "b"):
        mine = [tuple(sorted((*one, ("t", target)))) for one in labels]
        store.append(target, 1_800_000_000_000 + number * step, mine, [number] * 40)
    print(number, time.time(), flush=True)
    number += 1
    if number % 100 == 0:
        store.maintain()
    time.sleep(0.002)
"""


def named(name):
    return [Matcher("__name__", "=", name)]


def one(**labels):
    return labels_of({"__name__": "a", **labels})


@pytest.mark.slow
def test_twenty_kills_lose_a_second_at_most_and_tear_nothing(tmp_path):
    rng, next_row, lost_seconds = random.Random(4), 0, []
    place = tmp_path / "state"
    holes = set()
    for _ in range(22):
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(place), str(next_row)],
            stdout=subprocess.PIPE,
            text=True,
        )
        with child:
            first = child.stdout.readline()
            time.sleep(rng.uniform(0.0, 0.9))
            child.kill()
            said = [first, *child.stdout.readlines()]
        rows = [line.split() for line in said if line.endswith("\n")]
        last, killed_at = int(rows[-1][0]), float(rows[-1][1])
        with Store(place, now=lambda at=last: START / 1000 + at * 15) as store:
            groups = store.snapshot().select(named("n_total"), 0, 10**16)
            assert store.stats()["corrupt_rows_total"] == 0
            assert store.warnings == []
        kept = -1
        for group in groups:
            assert group.state is None
            assert len(group.labels) == 40
            stamps = (group.timestamps - START) // 15_000
            assert (group.values == stamps).all()
            kept = max(kept, int(stamps[-1]))
        # What is there is all of the past but the ends that earlier kills took.
        for group in groups:
            stamps = set(((group.timestamps - START) // 15_000).tolist())
            assert set(range(kept)) - stamps <= holes
        holes |= set(range(kept + 1, last + 2))
        for number, at in rows:
            if int(number) > kept:
                lost_seconds.append(killed_at - float(at))
                break
        next_row = last + 2
    print(f"lost before each kill: {max(lost_seconds, default=0):.2f} s at most")
    assert max(lost_seconds, default=0) < 1.0
    with sqlite3.connect(place / "samples.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


def fill(store, clock, rows=1000, target="t", names=("a", "b")):
    labels = [labels_of({"__name__": n, "i": str(i)}) for n in names for i in range(4)]
    for k in range(rows):
        store.append(target, START + k * 15_000, labels, np.arange(len(labels)) + k)
    clock.seconds = START / 1000 + rows * 15
    store.maintain()


def test_a_damaged_block_costs_itself_and_is_named(
    tmp_path, open_store, clock, answers
):
    with Store(tmp_path, now=clock) as store:
        fill(store, clock)
    with sqlite3.connect(tmp_path / "samples.db") as db:
        sql = """SELECT block.id, columns FROM block JOIN times ON times.id = times
            JOIN layout ON layout.id = layout WHERE metric = 'a' ORDER BY first_ms"""
        block, columns = db.execute(sql).fetchone()
        db.execute(
            "UPDATE body SET data ="
            " CAST(substr(data, 1, 30) || x'00ff' || substr(data, 33) AS BLOB)"
            " WHERE id = ?",
            (block,),
        )
    db.close()
    store = open_store(tmp_path)
    for _ in range(2):
        a = answers(store, named("a"))
        b = answers(store, named("b"))
        assert len(a) == len(b) == 4
        for samples in a.values():
            assert [t for t, _ in samples] == [
                START + k * 15_000 for k in range(columns, 1000)
            ]
        assert all(len(samples) == 1000 for samples in b.values())
        assert store.stats()["corrupt_blocks_total"] == 1
        assert f"block {block} (a," in store.warnings[-1]
        clock.seconds += 9000
        store.maintain()


def test_a_damaged_write_ahead_row_costs_the_rows_up_to_the_next_whole_one(
    tmp_path, open_store
):
    with Store(tmp_path, now=lambda: START / 1000) as store:
        for k in range(100):
            store.append("t", START + k, [one()], [float(k)])
            store.flush() if k == 50 else None
    # Nothing was cut: close() saves what it can and leaves the rest to the next start.
    with sqlite3.connect(tmp_path / "samples.db") as db:
        assert db.execute("SELECT count(*) FROM journal").fetchone() == (100,)
        db.execute(
            "UPDATE journal SET body = CAST(x'01' || body AS BLOB) WHERE id = 11"
        )
    db.close()
    store = open_store(tmp_path)
    (group,) = store.snapshot().select(named("a"), 0, 10**16)
    assert group.values[0].tolist() == [*range(10), *range(64, 100)]
    assert store.stats()["corrupt_rows_total"] == 54
    store.append("t", START + 100, [one()], [100.0])
    store.flush()
    store.close()
    store = open_store(tmp_path)
    (group,) = store.snapshot().select(named("a"), 0, 10**16)
    assert group.values[0].tolist() == [*range(10), *range(64, 101)]
    assert store.stats()["corrupt_rows_total"] == 0


@pytest.mark.parametrize("keep", [100, 5000])
def test_a_damaged_file_is_moved_aside_and_said(tmp_path, open_store, clock, keep):
    with Store(tmp_path, now=clock) as store:
        fill(store, clock)
    whole = (tmp_path / "samples.db").read_bytes()
    garbage = b"\xa5" * (len(whole) - keep)
    (tmp_path / "samples.db").write_bytes(whole[:keep][:16] + b"\xa5" * keep + garbage)
    store = open_store(tmp_path)
    (aside,) = tmp_path.glob("samples.db.corrupt-*")
    assert aside.stat().st_size > keep
    assert aside.name in store.warnings[0]
    store.append("t", START, [one()], [1.0])
    store.flush()
    assert len(store.snapshot().select(named("a"), 0, 10**16)) == 1


def test_a_file_damaged_while_running_is_replaced_and_the_newest_rows_kept(
    tmp_path, open_store, clock, monkeypatch
):
    store = open_store(tmp_path)
    fill(store, clock)
    view = store.snapshot()
    store.append("t", START + 10**8, [one(i="0")], [5.0])

    # SQLite holds its pages in memory: the damage must be told, not only done.
    def save():
        monkeypatch.undo()
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    monkeypatch.setattr(store._writer, "save", save)  # no disk lies on request
    with pytest.raises(StoreError, match="malformed"):
        store.flush()
    store.flush()
    assert list(tmp_path.glob("samples.db.corrupt-*"))
    (group,) = store.snapshot().select(named("a"), 0, 10**16)
    kept = group.timestamps.tolist()
    assert kept[-1] == START + 10**8
    assert 1 < len(kept) < 122  # what had not become blocks yet
    (group,) = view.select(named("a"), 0, 10**16)  # its blocks are gone, its rows not
    assert group.timestamps.tolist() == kept[:-1]
    clock.seconds = START / 1000 + 200_000
    store.maintain()
    (group,) = store.snapshot().select(named("a"), 0, 10**16)
    assert group.timestamps.tolist() == kept
    store.close()
    store = open_store(tmp_path)
    assert len(store.snapshot().select(named("a"), 0, 10**16)) == 1


def test_a_file_deleted_while_running_is_begun_anew(tmp_path, open_store, clock):
    place = tmp_path / "state"
    store = open_store(place)
    fill(store, clock)
    shutil.rmtree(place)
    store.append("t", START + 10**8, [one(i="0")], [5.0])
    with pytest.raises(StoreError, match="cannot be written"):
        store.flush()
    place.mkdir()
    store.flush()
    assert any("lost" in said for said in store.warnings)
    (group,) = store.snapshot().select(named("a"), 0, 10**16)
    kept = group.timestamps.tolist()
    assert kept[-1] == START + 10**8
    store.close()
    store = open_store(place)
    (group,) = store.snapshot().select(named("a"), 0, 10**16)
    assert group.timestamps.tolist() == kept


def test_a_newer_format_is_refused_and_left_alone(tmp_path, clock):
    Store(tmp_path, now=clock).close()
    with sqlite3.connect(tmp_path / "samples.db") as db:
        db.execute("PRAGMA user_version = 7")
    db.close()
    with pytest.raises(StoreError, match=r"format 7.*newer version"):
        Store(tmp_path, now=clock)
    assert not list(tmp_path.glob("*corrupt*"))


def test_a_second_process_is_refused_with_the_pid_of_the_first(tmp_path, open_store):
    open_store(tmp_path)
    code = (
        "import sys; from pathlib import Path\n"
        "from watchroom.monitor.store import Store\n"
        "Store(Path(sys.argv[1]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 1
    assert f"in use by process {os.getpid()}" in found.stderr


def test_the_directory_is_free_again_after_a_failed_start(tmp_path, clock):
    (tmp_path / "samples.db").mkdir()
    with pytest.raises(StoreError, match="is a directory"):
        Store(tmp_path, now=clock)
    (tmp_path / "samples.db").rmdir()
    Store(tmp_path, now=clock).close()


def test_a_local_disk_is_no_network_file_system(tmp_path):
    assert network_filesystem(tmp_path) == ""


def test_a_directory_that_cannot_be_written_is_refused(small_disk, clock):
    place = small_disk("1m")
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    with pytest.raises(StoreError, match="Read-only"):
        Store(place, now=clock)


def fill_up(out):
    size = 65536
    while size:
        try:
            out.write(b"x" * size)
        except OSError:
            size //= 2


def test_a_full_disk_never_reaches_the_scraper_and_nothing_is_lost(small_disk, clock):
    place = small_disk("1536k")
    rng = np.random.default_rng(0)
    labels = [one(i=str(i)) for i in range(300)]
    rows = []
    with Store(place, now=clock) as store:

        def scrape(count):
            for _ in range(count):
                values = rng.normal(size=300)
                store.append("t", START + len(rows) * 5_000, labels, values)
                rows.append(values)

        scrape(10)
        store.flush()
        ballast = place / "ballast"
        with ballast.open("wb", buffering=0) as out:
            fill_up(out)
        for _ in range(6):
            scrape(40)
            with pytest.raises(StoreError, match="cannot be written"):
                store.flush()
        stats = store.stats()
        assert stats["write_failures_total"] >= 6
        assert stats["write_failing"] == 1
        assert stats["samples_dropped_total"] == 0
        (group,) = store.snapshot().select(named("a"), 0, 10**16)
        assert np.array_equal(group.values, np.array(rows).T)
        ballast.unlink()
        store.flush()
        assert store.stats()["write_failing"] == 0
    with Store(place, now=clock) as store:
        (group,) = store.snapshot().select(named("a"), 0, 10**16)
        assert np.array_equal(group.values, np.array(rows).T)
        assert store.stats()["corrupt_rows_total"] == 0


def test_memory_is_bounded_while_the_disk_refuses_and_the_newest_stay(
    small_disk, clock
):
    place = small_disk("300k")
    labels = [one(i=str(i)) for i in range(500)]
    rng = np.random.default_rng(0)
    with Store(place, now=clock, memory_bytes=4 << 20) as store:
        for k in range(4000):
            store.append("t", START + k * 15_000, labels, rng.normal(size=500))
        stats = store.stats()
        assert stats["head_bytes"] < 6 << 20
        assert stats["samples_shed_total"] > 0
        assert stats["samples_appended_total"] == 2_000_000
        (group,) = store.snapshot().select(named("a"), 0, 10**16)
        assert group.timestamps[-1] == START + 3999 * 15_000


def test_a_clock_set_back_is_reported_while_samples_are_refused(tmp_path):
    seconds = 10_000
    x = [labels_of({"__name__": "x"})]
    with Store(tmp_path, now=lambda: seconds) as store:
        assert store.warnings == []
        store.append("t", seconds * 1000, x, [1.0])
        assert store.warnings == []
        seconds -= 3600
        assert store.append("t", seconds * 1000, x, [1.0]).out_of_order == 1
        (said,) = store.warnings
        assert "the newest sample is 1 h ahead of the clock" in said
        assert store.ahead == 3600
        seconds += 3600
        assert store.warnings == []
        assert store.ahead == 0
