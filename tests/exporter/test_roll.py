"""Who is seen, by role and user, and who writes where nobody reads."""

import getpass
import json
import time

import pytest

from watchroom.exporter.roll import roll
from watchroom.formats import rundir
from watchroom.formats.slots import ProcessFile


@pytest.fixture
def process():
    """Return a function that makes a living process' file."""
    files = []

    def make(directory, role):
        directory.mkdir(exist_ok=True, parents=True)
        file = ProcessFile(directory, "shop", role, time.time())
        file.publish()
        files.append(file)
        return file

    yield make
    for file in files:
        file.close()


def test_the_living_are_counted_by_role_and_user(tmp_path, process):
    here = tmp_path / "here"
    for role in ("web", "web", "worker"):
        process(here, role)
    process(here, "web").close()  # dead
    (here / "shop.web.1.garbage.slots").write_bytes(b"no process file")
    me = getpass.getuser()
    assert roll(here, "shop") == {
        "directory": str(here),
        "processes": [
            {"role": "web", "user": me, "count": 2},
            {"role": "worker", "user": me, "count": 1},
        ],
        "elsewhere": [],
    }
    assert roll(tmp_path / "nowhere", "shop")["processes"] == []


def test_a_worker_of_another_user_keeps_to_a_directory_of_its_own(
    tmp_path, process, monkeypatch
):
    # Where the rule leads other users.
    monkeypatch.setattr(rundir, "SYSTEM", tmp_path / "system")  # not this machine's
    monkeypatch.setattr(rundir, "MEMORY", tmp_path / "memory")  # nor its /dev/shm
    here, there = tmp_path / "system" / "shop", tmp_path / "memory/watchroom-7-shop"
    process(here, "web")
    worker = process(there, "worker")
    process(tmp_path / "memory/watchroom-7-other", "worker")
    (found,) = roll(here, "shop")["elsewhere"]
    assert found["directory"] == str(there)
    assert [(one["role"], one["count"]) for one in found["processes"]] == [
        ("worker", 1)
    ]
    # Files that only the dead left there are no split.
    worker.close()
    assert roll(here, "shop")["elsewhere"] == []


def test_the_exporter_tells_who_asks(exporter):
    status, _, text = exporter.call("GET", "/-/processes")
    assert status == 200
    assert isinstance(json.loads(text), dict)
    assert exporter.call("POST", "/-/processes")[0] == 405
