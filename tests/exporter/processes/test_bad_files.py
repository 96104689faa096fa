"""Whatever lies in the runtime directory, /metrics is answered and no total falls."""

import fcntl
import json
import os
import struct
import subprocess
import sys
import time
import zlib

import pytest
from tests.exporter.processes.test_fold import COUNTED, Worker, merger, read

from watchroom.conf import Settings
from watchroom.exporter.processes import fleet
from watchroom.exporter.processes.roll import roll
from watchroom.runtime.slots import SEGMENT, SEGMENT_WORDS

__all__ = ["merger"]  # the fixture
FAULTS = ("watchroom_instrument_errors_total", {"instrument": "exporter"})


def failures(found):
    return found.get(FAULTS[0], **FAULTS[1])


@pytest.fixture
def worker(tmp_path):
    """A living process that has counted 3."""
    made = Worker(tmp_path)
    made.add(COUNTED, ("a",), 3.0)
    yield made
    if made.file._fd >= 0:
        made.die()


def put(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def record(payload, *, kind=2, slots=1, at=SEGMENT_WORDS + 1):
    """Return a record with a right checksum."""
    head = struct.pack("<IHHII", len(payload), kind, slots, zlib.crc32(payload), at)
    return (head + payload).ljust(16 + (len(payload) + 7) // 8 * 8, b"\0")


def appended(payload, **more):
    """Return what appends a record to a process file."""

    def damage(path):
        used = struct.unpack_from("@d", path.read_bytes(), 8)[0]
        made = record(payload, **more)
        put(path, int(used) * 8, made)
        put(path, 8, struct.pack("@d", used + len(made) // 8))

    return damage


DAMAGES = {
    "cut to nothing": lambda path: os.truncate(path, 0),
    "cut in a segment": lambda path: os.truncate(path, SEGMENT + 100),
    "cut to its keys": lambda path: os.truncate(path, SEGMENT),
    "keys of no length": lambda path: put(path, 8, struct.pack("@d", float("nan"))),
    "keys without end": lambda path: put(path, 8, struct.pack("@d", float("inf"))),
    "keys of negative length": lambda path: put(path, 8, struct.pack("@d", -8.0)),
    "deep JSON": appended(b"[" * 8000),
    "a number of 5000 digits": appended(b"[" + b"9" * 5000 + b"]"),
    "a metric of other types": appended(b"[1,2,3,4,5]", kind=1),
    "a metric whose name is no name": appended(
        json.dumps(["a b\nc", "counter", "", [], []]).encode(), kind=1),
    "edges that are none": appended(b'["x","histogram","",[],[NaN]]', kind=1),
    "a series beyond the file": appended(b'[0,["b"]]', at=1 << 31),
    "a series among the keys": appended(b'[0,["b"]]', at=5),
    "a series of another's metric": appended(b'[99,["b"]]'),
    "a record that never arrives": lambda path: put(path, 8, struct.pack("@d", 500.0)),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_of_a_living_process_keeps_its_counts(
    tmp_path, merger, worker, damage
):
    other = Worker(tmp_path)
    other.add(COUNTED, ("a",), 4.0)
    exporter = merger()
    assert read(exporter).get("c_total", k="a") == 7
    DAMAGES[damage](worker.file.path)
    for _ in range(6):
        other.add(COUNTED, ("a",), 1.0)
        found = read(exporter)
    assert found.get("c_total", k="a") == 13
    assert found.get("watchroom_processes", role="web") == 2
    assert failures(found) == 1
    other.die()
    worker.die()
    assert read(exporter).get("c_total", k="a") == 13
    assert not worker.file.path.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e300])
@pytest.mark.parametrize("dead", [False, True])
def test_an_invalid_count_poisons_no_sum(tmp_path, merger, worker, value, dead):
    worker.add(COUNTED, ("b",), value)
    other = Worker(tmp_path)
    other.add(COUNTED, ("b",), 4.0)
    if dead:
        worker.die()
    exporter = merger()
    for _ in range(2):
        found = read(exporter)
        assert (found.get("c_total", k="a"), found.get("c_total", k="b")) == (3, 4)
        assert failures(found) == 1
    other.die()


def test_half_a_surrogate_pair_in_a_label_can_be_sent(merger, worker):
    worker.add(COUNTED, ("\ud800",), 1.0)
    exporter = merger()
    assert 'k="?"' in exporter.render().encode().decode()
    worker.die()
    exporter.render()
    assert 'k="?"' in merger().render().encode().decode()


def fifo(path):
    os.mkfifo(path)


def link(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [fifo, link, os.mkdir, lambda path: path.touch()])
@pytest.mark.parametrize("name", ["p.web.9.ff.slots", "p.base", "p.lock"])
def test_what_is_no_file_of_ours_neither_hangs_nor_hides_the_others(
    tmp_path, merger, worker, make, name
):
    path = tmp_path / name
    path.unlink(missing_ok=True)
    make(path)
    exporter = merger()
    began = time.monotonic()
    found = read(exporter)
    seen = roll(tmp_path, Settings(project="p"))
    assert time.monotonic() - began < 2
    assert found.get("c_total", k="a") == 3
    assert seen["processes"][0]["count"] == 1
    worker.die()
    assert read(exporter).get("c_total", k="a") == 3


BASES = {
    "deep": "[" * 100_000,
    "no object": "[]",
    "not a number": '{"format": 1, "groups": [], "series": [], "names": {"x": NaN},'
    ' "helps": {}, "resets": 0}',
    "counts that are none": '{"format": 1, "groups": [["c_total", "counter", ["k"], [],'
    ' 0]], "series": [[0, ["a"], [NaN]]], "names": {}, "helps": {}, "resets": 0}',
    "too few counts": '{"format": 1, "groups": [["c_seconds", "histogram", [], [1, 2],'
    ' 0]], "series": [[0, [], [1]]], "names": {}, "helps": {}, "resets": 0}',
    "names of other types": '{"format": 1, "groups": [], "series": [], "names": [],'
    ' "helps": {}, "resets": 0}',
}


@pytest.mark.parametrize("base", BASES)
def test_totals_that_make_no_sense_are_set_aside_and_counted(
    tmp_path, merger, worker, base
):
    (tmp_path / "p.base").write_text(BASES[base])
    exporter = merger()
    found = read(exporter)
    assert found.get("c_total", k="a") == 3
    assert found.get("watchroom_counter_resets_total") == 1
    assert failures(found) == 1
    assert (tmp_path / "p.base.bad").read_text() == BASES[base]
    worker.die()
    assert read(exporter).get("c_total", k="a") == 3
    assert read(merger()).get("c_total", k="a") == 3


def test_a_lock_that_another_keeps_stops_no_scrape_and_loses_nothing(
    tmp_path, merger, worker, monkeypatch
):
    monkeypatch.setattr(fleet, "LOCK_SECONDS", 0.1)  # sooner
    exporter, beside = merger(), merger()
    read(exporter)
    with (tmp_path / "p.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        worker.add(COUNTED, ("a",), 1.0)
        newer = Worker(tmp_path)
        newer.add(COUNTED, ("a",), 5.0)
        began = time.monotonic()
        assert read(exporter).get("c_total", k="a") == 9
        newer.die()
        worker.die()
        for _ in range(2):
            found = read(exporter)
            assert found.get("c_total", k="a") == 9
            assert read(beside).get("c_total", k="a") == 9
        assert time.monotonic() - began < 2
        assert failures(found) == 3
        assert newer.file.path.exists()
    for each in (exporter, beside, merger()):
        assert read(each).get("c_total", k="a") == 9
    assert not newer.file.path.exists()


def test_an_exporter_outlives_a_file_cut_as_it_reads(tmp_path, worker):
    """A mapping would die of SIGBUS: in a process of its own, as it did."""
    for number in range(300):
        worker.add(COUNTED, (str(number),), 1.0)
    code = (
        "import sys, pathlib\n"
        "from watchroom.exporter.processes.merge import Merger\n"
        "merger = Merger(pathlib.Path(sys.argv[1]), 'p')\n"
        "while True:\n"
        "    print(merger.render().count('c_total{'), flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout.readline() == "301\n"
        os.truncate(worker.file.path, 0)
        for _ in range(2):
            child.stdin.write("\n")
            child.stdin.flush()
            assert child.stdout.readline() == "301\n"
        child.kill()
