"""A damaged database is set aside and named; a newer one is left alone."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from watchroom.errors import StoreError
from watchroom.monitor.state.database import StateDB
from watchroom.monitor.store import Store
from watchroom.promql.model import labels_of

HEADER = 100  # bytes, of SQLite's file format
OPENERS = {"state.db": StateDB, "samples.db": Store}


@pytest.fixture(scope="module", params=OPENERS)
def kept(request, tmp_path_factory):
    """Return what opens a database, its name, and the bytes of a good one."""
    name, where = request.param, tmp_path_factory.mktemp("good")
    opener = OPENERS[name]
    with contextlib.closing(opener(where)) as database:
        if isinstance(database, Store):
            database.append("t", 1000, [labels_of({"__name__": "m"})], [1.0])
            database.flush()
    with contextlib.closing(sqlite3.connect(where / name)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return opener, name, (where / name).read_bytes()


def test_whatever_byte_of_the_header_is_wrong_the_monitor_starts(kept, tmp_path):
    """Before, a format of 4259840 was said to be of a newer version: exit code 2."""
    opener, name, good = kept
    aside = 0
    for place in range(HEADER):
        where = tmp_path / str(place)
        where.mkdir()
        raw = bytearray(good)
        raw[place] ^= 0xA5
        (where / name).write_bytes(raw)
        with contextlib.closing(opener(where)) as database:
            moved = [one for one in where.iterdir() if "corrupt" in one.name]
            if moved:
                aside += 1
                assert any(moved[0].name in said for said in database.warnings), place
                assert moved[0].read_bytes()[:HEADER] == raw[:HEADER], place
    assert aside >= 16, "SQLite's magic, at the least"


@pytest.mark.parametrize("number", [4_259_840, -1, 2**31 - 1])
def test_a_format_that_no_version_has_is_damage(kept, tmp_path, number):
    opener, name, good = kept
    (tmp_path / name).write_bytes(good)
    with contextlib.closing(sqlite3.connect(tmp_path / name)) as db:
        db.execute(f"PRAGMA user_version = {number}")
    with contextlib.closing(opener(tmp_path)) as database:
        assert any(f"{name}.corrupt-" in one for one in database.warnings)


def test_a_newer_format_is_left_alone_and_says_what_to_do(kept, tmp_path):
    opener, name, good = kept
    (tmp_path / name).write_bytes(good)
    with contextlib.closing(sqlite3.connect(tmp_path / name)) as db:
        (ours,) = db.execute("PRAGMA user_version").fetchone()
        db.execute(f"PRAGMA user_version = {ours + 1}")
    before = (tmp_path / name).read_bytes()
    with pytest.raises(StoreError, match="run the newer version"):
        opener(tmp_path)
    assert (tmp_path / name).read_bytes() == before


def test_a_directory_in_its_place_is_named_with_what_to_do(kept, tmp_path):
    opener, name, _ = kept
    (tmp_path / name).mkdir()
    with pytest.raises(StoreError, match=f"{name} is a directory: move it away"):
        opener(tmp_path)
