from __future__ import annotations

import sqlite3
import threading

import numpy as np
import pytest
from tests.support.fleet import Instance

from watchroom.monitor.store import Store
from watchroom.promql.model import Matcher, labels_of

START = 1_800_000_000_000 // 7_200_000 * 7_200_000


def named(name):
    return [Matcher("__name__", "=", name)]


def family(name, count):
    return [labels_of({"__name__": name, "i": str(i)}) for i in range(count)]


def scrapes(store, clock, labels, first, count, step=15_000, target="t"):
    rng = np.random.default_rng(first)
    for k in range(first, first + count):
        clock.seconds = (START + k * step) / 1000
        store.append(target, START + k * step, labels, rng.integers(0, 99, len(labels)))


def test_finished_windows_become_one_block_a_family(open_store, clock):
    store = open_store()
    scrapes(store, clock, family("a", 5) + family("b", 5), 0, 481)
    store.maintain()
    assert store.stats()["blocks"] == 8  # four half hours of two families
    clock.seconds += 200
    store.maintain()
    assert store.stats()["blocks"] == 2
    (group,) = store.snapshot().select(named("a"), 0, 10**16)
    assert group.values.shape == (5, 481)


def test_a_quiet_target_is_cut_by_the_clock(open_store, clock):
    store = open_store()
    scrapes(store, clock, family("a", 5), 0, 10)
    store.maintain()
    assert store.stats()["blocks"] == 0
    clock.seconds += 4000
    store.maintain()
    assert store.stats()["blocks"] == 1
    assert store.stats()["head_bytes"] == 0


def test_old_blocks_expire_and_their_series_are_forgotten(tmp_path, open_store, clock):
    store = open_store(tmp_path, retention_seconds=7200.0)
    scrapes(store, clock, family("old", 50), 0, 100, target="gone")
    scrapes(store, clock, family("new", 50), 100, 500)
    clock.seconds += 7200
    store.maintain()
    assert store.snapshot().select(named("old"), 0, 10**16) == []
    (group,) = store.snapshot().select(named("new"), 0, 10**16)
    assert group.timestamps[0] < clock.seconds * 1000 - 7_200_000 + 7_200_000
    store.maintain()
    stats = store.stats()
    assert stats["series"] == 50
    assert stats["targets"] == 1
    assert stats["expired_blocks_total"] >= 1
    store.close()
    with sqlite3.connect(tmp_path / "samples.db") as db:
        for table, count in (("series", 50), ("target", 1), ("dead", 0)):
            sql = f"SELECT count(*) FROM {table}"
            assert db.execute(sql).fetchone() == (count,), table
        assert db.execute("SELECT count(*) FROM layout").fetchone() == (1,)
    db.close()
    store = open_store(tmp_path)
    scrapes(store, clock, family("old", 50), 5000, 3, target="gone")
    (group,) = store.snapshot().select(named("old"), 0, 10**16)
    assert group.values.shape == (50, 3)


def test_a_forgotten_series_comes_back_as_a_new_one(open_store, clock):
    store = open_store(retention_seconds=3600.0)
    labels = family("a", 5)
    scrapes(store, clock, labels, 0, 10)
    clock.seconds += 20_000
    store.maintain()
    assert store.stats()["series"] == 0
    scrapes(store, clock, labels, 5000, 10)
    (group,) = store.snapshot().select(named("a"), 0, 10**16)
    assert group.values.shape == (5, 10)


def test_the_file_stays_below_its_limit_by_losing_the_oldest(
    tmp_path, open_store, clock
):
    limit = 600_000
    store = open_store(tmp_path, retention_bytes=limit)
    rng = np.random.default_rng(0)
    labels = family("a", 40)
    for k in range(6000):
        clock.seconds = (START + k * 15_000) / 1000
        store.append("t", START + k * 15_000, labels, rng.normal(size=40))
        if k % 240 == 0:
            store.maintain()
    for _ in range(3):
        store.maintain()
    assert (tmp_path / "samples.db").stat().st_size < limit + 65 * 4096
    (group,) = store.snapshot().select(named("a"), 0, 10**16)
    assert group.timestamps[-1] == START + 5999 * 15_000
    assert 400 < len(group.timestamps) < 3000
    assert group.state is None


def test_the_pragmas_are_in_force(tmp_path, open_store):
    open_store(tmp_path).flush()
    db = sqlite3.connect(tmp_path / "samples.db")
    try:
        assert db.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    finally:
        db.close()


def test_a_query_reads_only_the_blocks_and_rows_it_needs(open_store, clock):
    store = open_store()
    many = family("big", 720)
    labels = many + family("other", 100)
    scrapes(store, clock, labels, 0, 480 * 6, step=15_000)
    clock.seconds += 500
    store.maintain()
    hour = 3_600_000
    end = START + 12 * hour - 1
    cases = (
        # matchers, hours, blocks fetched, rows decoded
        ([*named("big"), Matcher("i", "=", "7")], 2, 1, 1),
        (named("big"), 2, 1, 720),
        ([*named("big"), Matcher("i", "=~", "1.")], 12, 6, 60),
        (named("nothing"), 12, 0, 0),
    )
    for matchers, hours, blocks, rows in cases:
        fresh = open_fresh(store)
        before = store.stats()
        fresh.select(matchers, end - hours * hour, end)
        after = store.stats()
        fetched = after["blocks_fetched_total"] - before["blocks_fetched_total"]
        decoded = after["rows_decoded_total"] - before["rows_decoded_total"]
        assert (fetched, decoded) == (blocks, rows), matchers


def open_fresh(store):
    """Return a snapshot behind an empty cache."""
    with store._cache._lock:
        store._cache._entries.clear()
        store._cache.nbytes = 0
    return store.snapshot()


def test_a_block_in_the_cache_is_not_fetched_again(open_store, clock):
    store = open_store()
    scrapes(store, clock, family("a", 50), 0, 500)
    clock.seconds += 500
    store.maintain()
    store.snapshot().select(named("a"), 0, 10**16)
    before = store.stats()["blocks_fetched_total"]
    store.snapshot().select(named("a"), 0, 10**16)
    assert store.stats()["blocks_fetched_total"] == before
    tight = open_store(store._path / "tight", cache_bytes=20_000)
    scrapes(tight, clock, family("a", 50), 0, 2000)
    clock.seconds += 8000
    tight.maintain()
    tight.snapshot().select(named("a"), 0, 10**16)
    assert tight.stats()["cache_bytes"] <= 20_000


def test_readers_and_a_writer_never_disturb_each_other(open_store, clock):
    store = open_store()
    labels = family("n", 30)
    stop, errors = threading.Event(), []

    def read():
        before = 0
        while not stop.is_set():
            try:
                newest = 0
                for group in store.snapshot().select(named("n"), 0, 10**16):
                    assert group.state is None
                    rows = (group.timestamps - START) // 15_000
                    assert (group.values == rows).all()
                    assert (np.diff(rows) == 1).all()
                    newest = len(rows)
                assert newest >= before
                before = newest
            except BaseException as error:
                errors.append(error)
                raise

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for k in range(3000):
            clock.seconds = (START + k * 15_000) / 1000
            store.append("t", START + k * 15_000, labels, np.full(30, float(k)))
            if k % 150 == 149:
                store.maintain()
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert errors == []
    (group,) = store.snapshot().select(named("n"), 0, 10**16)
    assert group.values.shape == (30, 3000)
    assert store.stats()["corrupt_blocks_total"] == 0


@pytest.mark.slow
def test_a_fleet_costs_less_than_a_byte_a_sample(tmp_path, clock):
    hours = 4
    clock.seconds = START / 1000
    instance = Instance()
    samples = 0
    with Store(tmp_path, now=clock) as store:
        for k in range(hours * 240 + 20):
            clock.seconds = START / 1000 + k * 15
            row = instance.scrape(15, clock.seconds)
            store.append("t", round(clock.seconds * 1000), instance.labels, row)
            samples += len(row)
            if k % 20 == 19:
                store.maintain()
        store.maintain()
        bodies = store.stats()["block_bytes"] / samples
        whole = store.stats()["bytes"] / samples
    size = (tmp_path / "samples.db").stat().st_size
    print(
        f"{len(instance.labels)} series, {samples} samples in {hours} h: "
        f"{bodies:.3f} B/sample in bodies, {size / samples:.3f} in samples.db, "
        f"{whole:.3f} with its log"
    )
    assert size / samples < 1.0
