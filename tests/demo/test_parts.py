"""The demo's parts, each on its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from examples.demo.stage import DemoError, Processes, claim, free_port
from examples.demo.story import Pager

from watchroom.errors import ConfigError


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def dies(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def test_a_directory_of_another_kind_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="not made by the demo"):
        claim(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_demo_directory_is_emptied_for_the_next(tmp_path: Path) -> None:
    target = tmp_path / "demo"
    claim(target).close()
    (target / "old").touch()
    (target / "logs" / "app.log").touch()
    claim(target).close()
    assert {path.name for path in target.iterdir()} == {".watchroom-demo", "logs"}
    assert not list((target / "logs").iterdir())


def test_a_running_demo_keeps_its_directory(tmp_path: Path) -> None:
    target = tmp_path / "demo"
    with claim(target):
        (target / "data").mkdir()
        with pytest.raises(ConfigError, match="another demo is running in it"):
            claim(target)
        assert (target / "data").exists()


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be used"):
        claim(tmp_path / "file" / "demo")


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert free_port(port) != port


@pytest.fixture
def processes(tmp_path: Path):
    made = Processes(tmp_path, os.environ)
    yield made
    made.stop()


def test_a_step_that_fails_is_named_with_its_last_words(processes, tmp_path) -> None:
    argv = [sys.executable, "-c", "import sys; sys.exit('no such table')"]
    with pytest.raises(
        DemoError, match=r"(?s)seed ended with exit code 1.*no such table"
    ) as caught:
        processes.run("seed", argv, cwd=tmp_path)
    assert caught.value.stage == "seed"


def test_a_server_that_dies_is_noticed(processes, tmp_path) -> None:
    processes.start("app", [sys.executable, "-c", "print('bye')"], cwd=tmp_path)
    processes._running["app"].wait(10)
    with pytest.raises(
        DemoError, match=r"(?s)app ended with exit code 0.*bye"
    ) as caught:
        processes.check()
    assert caught.value.stage == "app"


def test_a_server_that_was_killed_is_reported_as_killed(processes, tmp_path) -> None:
    processes.start("app", ["/bin/sleep", "60"], cwd=tmp_path)
    processes._running["app"].kill()
    processes._running["app"].wait(10)
    with pytest.raises(DemoError, match="ended with exit code -9"):
        processes.check()


def test_grandchildren_stop_too(processes, tmp_path) -> None:
    program = (
        "import subprocess, sys, time\n"
        "sleeper = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        "child = subprocess.Popen(sleeper)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)"
    )
    processes.start("tree", [sys.executable, "-c", program], cwd=tmp_path)
    deadline = time.monotonic() + 10
    while not (pid := processes.tail("tree").strip()) and time.monotonic() < deadline:
        time.sleep(0.05)
    processes.stop()
    assert dies(int(pid))


def test_children_stop_when_the_demo_is_killed_with_9(tmp_path) -> None:
    program = (
        "import os, sys, time; from pathlib import Path\n"
        "from examples.demo.stage import Processes\n"
        f"p = Processes(Path({str(tmp_path)!r}), os.environ)\n"
        "p.start('x', [sys.executable, '-c', 'import time; time.sleep(60)'],"
        f" cwd=Path({str(tmp_path)!r}))\n"
        "print(p._running['x'].pid, flush=True)\n"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    assert dies(pid)


def test_a_signal_that_comes_while_a_child_is_forked_ends_it_too(tmp_path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from examples.demo.stage import Processes\n"
        f"p = Processes(Path({str(tmp_path)!r}), os.environ)\n"
        "p.listen()\n"
        "kill = lambda: os.kill(os.getpid(), signal.SIGTERM)\n"
        "os.register_at_fork(after_in_parent=kill)\n"
        "try:\n"
        f"    p.run('x', [sys.executable, '-c', ''], cwd=Path({str(tmp_path)!r}))\n"
        "except KeyboardInterrupt:\n"
        "    print('stopped')\n"
        "p.stop()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "stopped\n", done.stderr


def test_the_pager_remembers_pages() -> None:
    with Pager() as pager:
        alert = {
            "status": "firing",
            "labels": {"alertname": "HighErrorRate"},
            "annotations": {"summary": "5 % fail", "description": "GET /"},
        }
        body = json.dumps({"alerts": [alert]}).encode()
        with urllib.request.urlopen(pager.url, body, timeout=5) as answer:
            assert answer.status == 200
        assert pager.first("HighErrorRate", "firing", 0).summary == "5 % fail"
        assert pager.first("HighErrorRate", "resolved", 0) is None
        assert pager.first("HighErrorRate", "firing", time.time()) is None
        pager.shutdown()
