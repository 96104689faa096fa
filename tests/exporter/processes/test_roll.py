"""Who is seen, by role and user, and who writes where nobody reads."""

import getpass
import json
import time
from pathlib import Path

import pytest

from watchroom.conf import Settings
from watchroom.exporter.processes.roll import roll
from watchroom.runtime import directory as rundir
from watchroom.runtime.slots import ProcessFile

SHOP = Settings(project="shop")


@pytest.fixture
def process():
    """Return a function that makes a living process' file."""
    files = []

    def make(directory, role, name="shop"):
        directory.mkdir(exist_ok=True, parents=True)
        file = ProcessFile(directory, name, role, time.time())
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
    assert roll(here, SHOP) == {
        "directory": str(here),
        "processes": [
            {"role": "web", "user": me, "count": 2},
            {"role": "worker", "user": me, "count": 1},
        ],
        "elsewhere": [],
        "namesakes": [],
    }
    assert roll(tmp_path / "nowhere", SHOP)["processes"] == []


@pytest.fixture
def roots(tmp_path, monkeypatch):
    """Lead the rule to a directory of the test."""
    monkeypatch.setattr(rundir, "SYSTEM", tmp_path / "system")  # not this machine's
    monkeypatch.setattr(rundir, "MEMORY", tmp_path / "memory")  # nor its /dev/shm


@pytest.mark.usefixtures("roots")
def test_a_worker_of_another_user_keeps_to_a_directory_of_its_own(tmp_path, process):
    # Where the rule leads other users.
    here, there = tmp_path / "system" / "shop", tmp_path / "memory/watchroom-7-shop"
    process(here, "web")
    worker = process(there, "worker")
    process(tmp_path / "memory/watchroom-7-other", "worker")
    process(tmp_path / "memory/watchroom-7-my-shop", "worker")
    (found,) = roll(here, SHOP)["elsewhere"]
    assert found["directory"] == str(there)
    assert [(one["role"], one["count"]) for one in found["processes"]] == [
        ("worker", 1)
    ]
    # Files that only the dead left there are no split.
    worker.close()
    assert roll(here, SHOP)["elsewhere"] == []


@pytest.mark.usefixtures("roots")
def test_where_nobody_is_seen_other_environments_of_the_project_are_told(
    tmp_path, process
):
    memory = tmp_path / "memory"
    staging = SHOP._replace(environment="staging")
    process(memory / "watchroom-7-shop", "web")
    process(memory / "watchroom-7-shoes", "web")

    def named(settings, where):
        seen = roll(memory / where, settings)["namesakes"]
        return [(one["name"], Path(one["directory"]).name) for one in seen]

    found = named(staging, "watchroom-7-shop-staging")
    assert found == [("shop", "watchroom-7-shop")]
    process(memory / "one", "web", name="shop-staging")
    assert named(SHOP, "one") == [("shop-staging", "one")]
    assert named(staging, "one") == []


def test_the_exporter_tells_who_asks(exporter):
    status, _, text = exporter.call("GET", "/-/processes")
    assert status == 200
    assert isinstance(json.loads(text), dict)
    assert exporter.call("POST", "/-/processes")[0] == 405
