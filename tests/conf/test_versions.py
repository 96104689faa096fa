"""Which release runs: as it is said, else as the platform or git has it."""

import subprocess

import pytest
from tests.support.app import counts, run

from watchroom.conf.versions import detect

INFO = "watchroom_release_info"


def git(folder, *words):
    subprocess.run(
        ("git", "-c", "user.name=a", "-c", "user.email=a@b", *words),
        cwd=folder,
        check=True,
        capture_output=True,
    )


@pytest.fixture
def tree(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "first")
    return tmp_path


def head(folder):
    done = subprocess.run(
        ("git", "rev-parse", "HEAD"), cwd=folder, check=True, capture_output=True
    )
    return done.stdout.decode().strip()


def test_what_is_said_comes_before_what_is_found(tree):
    said = {"SENTRY_RELEASE": "two", "K_REVISION": "three"}

    assert detect({"WATCHROOM_RELEASE": " one\n", **said}, tree) == "one"
    assert detect(said, tree) == "two"
    assert detect({"K_REVISION": "three", "SENTRY_RELEASE": " "}, tree) == "three"


def test_git_is_read_however_it_keeps_its_head(tree):
    (tree / "deep").mkdir()
    assert detect({}, tree / "deep") == head(tree)

    git(tree, "pack-refs", "--all")
    assert detect({}, tree) == head(tree)

    git(tree, "worktree", "add", "-q", "linked")
    assert detect({}, tree / "linked") == head(tree)

    git(tree, "checkout", "-q", "--detach")
    assert detect({}, tree) == head(tree)


def test_nothing_tells_it(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/none\n")

    assert detect({}, tmp_path) == ""


def test_it_is_told_each_time_one_asks(monkeypatch):
    from watchroom import conf

    monkeypatch.setenv("WATCHROOM_RELEASE", "v1")
    conf._release.cache_clear()

    assert (conf.release(), conf.release()) == ("v1", "v1")
    conf._release.cache_clear()


def test_live_processes_tell_their_release_and_dead_ones_do_not(tmp_path):
    import os
    import subprocess as processes
    import sys

    from tests.support.app import PRELUDE, ROOT, SERVE, environ

    script = PRELUDE + SERVE + 'call("/work/")\nprint("up", flush=True)\ninput()'
    mine = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    with processes.Popen(
        [sys.executable, "-c", script],
        env=environ(tmp_path, WATCHROOM_RELEASE='v"2', PYTHONPATH=mine),
        stdin=processes.PIPE,
        stdout=processes.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "up\n"
        found = counts(tmp_path)
        assert found.get(INFO, release='v"2', role="web") == 1
        # Without a DSN it sends no errors, which is said too.
        assert found.get("watchroom_sentry_processes", role="web") == 0
        process.communicate("\n", timeout=60)

    assert counts(tmp_path).sum(INFO) == 0
    run(tmp_path, 'call("/work/")')
    assert counts(tmp_path).sum(INFO) == 0
