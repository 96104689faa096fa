"""The dead are folded once, whoever crashes, and the totals never fall."""

import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
from tests.support.app import ROOT, Counts, environ

from watchroom.exporter.processes.merge import Merger
from watchroom.exporter.processes.totals import load
from watchroom.runtime.reader import Reader
from watchroom.runtime.slots import GRAIN, Definition, ProcessFile

COUNTED = Definition("c_total", "counter", "", ("k",))
FLIGHT = Definition("http_requests_in_flight", "inflight", "", ("method", "route"))
OLD = Definition("d_seconds", "histogram", "", (), (1.0, 2.0, 5.0))
NEW = Definition("d_seconds", "histogram", "", (), (1.0, 2.0, 3.0, 5.0))


class Worker:
    """A process file in the hands of the test; `die` is what a kill leaves."""

    def __init__(self, directory, started=0.0):
        self.file = ProcessFile(directory, "p", "web", started)
        self.file.publish()
        self.cells = {}

    def add(self, definition, values, amount, step=0):
        key = (definition, values)
        if key not in self.cells:
            self.cells[key] = self.file.series(definition, values)
        view, at = self.cells[key]
        view[at + step] += amount

    def observe(self, definition, value):
        step = sum(edge < value for edge in definition.edges)
        self.add(definition, (), 1.0, step)
        self.add(
            definition,
            (),
            int(value * GRAIN) / GRAIN,
            len(definition.edges) + 1,
        )

    def die(self):
        self.cells.clear()
        self.file.close()


@pytest.fixture
def merger(tmp_path):
    made = []

    def make():
        made.append(Merger(tmp_path, "p"))
        return made[-1]

    yield make
    for one in made:
        one.close()


def read(merger):
    return Counts.of(merger.render())


def slots_in(directory):
    return [path for path in directory.iterdir() if path.suffix == ".slots"]


def test_live_and_dead_add_up_and_a_restart_serves_the_old_totals(tmp_path, merger):
    one, two = Worker(tmp_path), Worker(tmp_path)
    one.add(COUNTED, ("a",), 3.0)
    two.add(COUNTED, ("a",), 4.0)
    exporter = merger()
    assert read(exporter).get("c_total", k="a") == 7

    one.die()

    assert read(exporter).get("c_total", k="a") == 7
    assert len(slots_in(tmp_path)) == 1
    assert read(merger()).get("c_total", k="a") == 7
    assert exporter.processes() == {"web": 1, "worker": 0}
    two.die()
    for _ in range(3):
        assert read(exporter).get("c_total", k="a") == 7


def test_a_crash_between_rename_and_unlink_counts_nothing_twice(tmp_path, merger):
    worker = Worker(tmp_path)
    worker.add(COUNTED, ("a",), 3.0)
    kept = tmp_path / "kept"
    shutil.copy(worker.file.path, kept)
    name = worker.file.path
    worker.die()
    assert read(merger()).get("c_total", k="a") == 3

    kept.rename(name)  # as if the unlink had never happened

    assert read(merger()).get("c_total", k="a") == 3
    assert not name.exists()


def test_what_died_under_way_is_lost_once(tmp_path, merger):
    worker = Worker(tmp_path)
    worker.add(FLIGHT, ("GET", "slow/"), 2.0)
    exporter = merger()
    found = read(exporter)
    assert found.get("http_requests_in_flight") == 2
    lost = {"method": "GET", "route": "slow/", "status": "lost"}
    assert found.get("http_requests_total", **lost) == 0

    worker.die()

    for one in (exporter, exporter, merger(), exporter):
        found = read(one)
        assert found.get("http_requests_in_flight") == 0
        assert found.get("http_requests_total", **lost) == 2


def test_a_pid_that_comes_round_again_is_another_process(tmp_path, merger):
    first = Worker(tmp_path)
    second = Worker(tmp_path)  # the same pid: ours
    first.add(COUNTED, ("a",), 1.0)
    second.add(COUNTED, ("a",), 2.0)
    exporter = merger()
    first.die()
    assert read(exporter).get("c_total", k="a") == 3
    assert exporter.processes()["web"] == 1
    second.die()


def test_a_mixed_roll_out_adds_up_and_nothing_falls(tmp_path, merger):
    """Workers with the old edges die while those with a new limit come."""
    rng = random.Random(4)
    exporters = [merger(), merger()]
    workers = [(Worker(tmp_path, 1.0), OLD) for _ in range(4)]
    answered, before = 0, {}
    for step in range(120):
        for worker, definition in workers:
            for _ in range(rng.randrange(4)):
                worker.observe(definition, rng.expovariate(0.4))
                answered += 1
        if step % 20 == 19 and workers[0][1] is OLD:
            workers.pop(0)[0].die()
            workers.append((Worker(tmp_path, 2.0 + step), NEW))
        found = read(exporters[step % 2])
        assert found.get("d_seconds_count") == answered
        buckets = [
            (float(dict(labels)["le"]), value)
            for (name, labels), value in found.items()
            if name == "d_seconds_bucket"
        ]
        values = [value for _, value in sorted(buckets)]
        assert values == sorted(values)
        assert values[-1] == answered
        for key, value in found.items():
            if not key[0].startswith("watchroom_") and "in_flight" not in key[0]:
                assert value >= before.get(key, 0.0), key
                before[key] = value
    assert ("d_seconds_bucket", (("le", "3.0"),)) in found
    for worker, _ in workers:
        worker.die()


def test_blended_counts_are_exact_where_all_have_the_edge(tmp_path, merger):
    old, new = Worker(tmp_path), Worker(tmp_path, 1.0)
    for value in (0.5, 1.5, 2.5, 4.5, 9.0):
        old.observe(OLD, value)
        new.observe(NEW, value)

    found = read(merger())

    assert found.get("d_seconds_bucket", le="1.0") == 2
    assert found.get("d_seconds_bucket", le="2.0") == 4
    assert found.get("d_seconds_bucket", le="5.0") == 8
    # The old half has 2 between 2 and 5, a third of them below 3 on a straight line.
    assert found.get("d_seconds_bucket", le="3.0") == pytest.approx(3 + 2 + 2 / 3, 1e-3)
    assert found.get("d_seconds_sum") == pytest.approx(36.0)
    old.die()
    new.die()


def test_a_metric_that_changed_its_kind_starts_again_and_says_so(tmp_path, merger):
    old = Worker(tmp_path, 1.0)
    old.add(Definition("x_total", "counter", "", ()), (), 3.0)
    new = Worker(tmp_path, 2.0)
    new.add(Definition("x_total", "histogram", "", (), (1.0,)), (), 1.0)

    found = read(merger())

    assert found.get("x_total") is None
    assert found.get("x_total_count") == 1
    assert found.get("watchroom_counter_resets_total") == 1
    old.die()
    new.die()


def test_totals_that_cannot_be_read_start_again_and_say_so(tmp_path, merger):
    worker = Worker(tmp_path)
    worker.add(COUNTED, ("a",), 3.0)
    worker.die()
    read(merger())
    (tmp_path / "p.base").write_text("{")

    found = read(merger())

    assert found.get("watchroom_counter_resets_total") == 1
    assert found.get("c_total", k="a") is None


def test_a_wiped_directory_takes_nothing_from_a_running_exporter(tmp_path, merger):
    dead, live = Worker(tmp_path), Worker(tmp_path)
    dead.add(COUNTED, ("a",), 3.0)
    live.add(COUNTED, ("a",), 4.0)
    dead.die()
    exporter = merger()
    assert read(exporter).get("c_total", k="a") == 7
    for path in tmp_path.iterdir():
        path.unlink()

    live.add(COUNTED, ("a",), 1.0)
    assert read(exporter).get("c_total", k="a") == 8
    live.die()
    assert read(exporter).get("c_total", k="a") == 8
    assert load(tmp_path / "p.base").series


def test_a_directory_that_is_gone_or_was_never_there_is_no_error(tmp_path):
    merger = Merger(tmp_path / "absent", "p")

    found = read(merger)

    requests = {"method": "GET", "route": "unresolved", "status": "500"}
    assert found.get("http_requests_total", **requests) == 0
    assert found.get("watchroom_processes", role="web") == 0
    merger.close()


def test_garbage_under_our_names_is_counted_and_left_alone(tmp_path, merger):
    bad = tmp_path / "p.web.1.00.slots"
    bad.write_bytes(b"WATCHR01" + b"\xff" * 5000)
    (tmp_path / "p.web.2.00.slots").write_bytes(b"")
    exporter = merger()

    for _ in range(3):
        found = read(exporter)

    assert found.get("watchroom_instrument_errors_total", instrument="exporter") == 2
    assert bad.exists()


def test_exporters_side_by_side_agree_while_processes_come_and_go(tmp_path, merger):
    exporters = [merger() for _ in range(3)]
    stop = threading.Event()
    falls = []

    def scrape(exporter):
        last = 0.0
        while not stop.is_set():
            now = read(exporter).get("c_total", k="a") or 0.0
            if now < last:
                falls.append((last, now))
            last = now

    threads = [threading.Thread(target=scrape, args=(one,)) for one in exporters]
    for thread in threads:
        thread.start()
    try:
        for _ in range(60):
            worker = Worker(tmp_path)
            for _ in range(20):
                worker.add(COUNTED, ("a",), 1.0)
            worker.die()
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert falls == []
    assert [read(one).get("c_total", k="a") for one in exporters] == [1200] * 3
    assert slots_in(tmp_path) == []


KILLED = """
call("/fine/1/")
print("up", flush=True)
call("/slow/")
"""


def test_sigkill_in_mid_request_is_one_lost_request(tmp_path):
    from tests.support.app import PRELUDE, SERVE

    child = subprocess.Popen(
        [sys.executable, "-c", PRELUDE + SERVE + KILLED.replace("/slow/", "/hang/")],
        env=environ(tmp_path),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    merger = Merger(tmp_path, "testapp")
    lost = {"method": "GET", "route": "hang/", "status": "lost"}
    try:
        child.stdout.readline()
        end = time.monotonic() + 10
        while not read(merger).get("http_requests_in_flight"):
            assert time.monotonic() < end
            time.sleep(0.02)
        time.sleep(0.1)
        child.send_signal(signal.SIGKILL)
        child.wait(10)
        for _ in range(2):
            found = read(merger)
            assert found.get("http_requests_total", **lost) == 1
            assert found.sum("http_requests_total", status="lost") == 1
            assert found.sum("http_requests_total") == 2
    finally:
        child.kill()
        child.wait(10)
        child.stdout.close()
        merger.close()


def test_no_value_is_torn(tmp_path):
    """One process stores two bit patterns in turn; the reader sees no third."""
    code = (
        "import sys, time, pathlib\n"
        "from watchroom.runtime.slots import *\n"
        "f = ProcessFile(pathlib.Path(sys.argv[1]), 'p', 'web', 0.0)\n"
        "view, at = f.series(Definition('c_total', 'counter', '', ()), ())\n"
        "f.publish()\n"
        "print(f.path.name, flush=True)\n"
        "a, b = 1.0, 123456789.123456789\n"
        "while True:\n"
        "    view[at] = a\n"
        "    view[at] = b\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True
    )
    try:
        reader = Reader(tmp_path / child.stdout.readline().strip())
        reader.refresh()
        at = reader.rows[0].at
        end = time.monotonic() + 2.0
        seen = set()
        while time.monotonic() < end:
            seen.add(reader.read()[at])
        reader.close()
    finally:
        child.kill()
        child.wait(10)
        child.stdout.close()
    assert seen - {0.0} == {1.0, 123456789.123456789}


def test_the_base_holds_the_names_of_the_folded(tmp_path, merger):
    worker = Worker(tmp_path)
    worker.die()
    read(merger())

    assert json.loads((tmp_path / "p.base").read_text())["names"].keys() == {
        worker.file.path.name
    }
