"""`python examples/demo` without a terminal: the story, or the broken stage."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.support.chain import get
from tests.support.redis_server import redis_server

DEMO = Path(__file__).parents[2] / "examples" / "demo"

pytestmark = pytest.mark.slow


def demo(tmp_path, *words: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, str(DEMO)),
            *("--dir", str(tmp_path / "demo"), *words),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environ},
    )


def left_over(tmp_path) -> list[str]:
    """Return the command lines that still name the demo's directory."""
    time.sleep(0.5)
    found = subprocess.run(
        ["ps", "-eo", "args"], capture_output=True, text=True, check=True
    )
    return [line for line in found.stdout.splitlines() if str(tmp_path) in line]


def tiles(output: str) -> dict[str, list[float]]:
    """Return what the monitor answers to each tile of the guide's table, in order."""
    monitor = re.search(r"(http://\S+)  ← the monitor's page", output)[1]
    files = Path(re.search(r"files +(/\S+)", output)[1])
    board = json.loads((files / "grafana/watchroom-overview.json").read_text())
    found: dict[str, list[float]] = {}
    for panel in board["panels"][1:10]:
        values = found.setdefault(panel["title"], [])
        for target in panel["targets"]:
            if target["refId"] != "B":
                url = f"{monitor}api/v1/query?query={quote(target['expr'])}"
                rows = get(url)["data"]["result"]
                values += [float(row["value"][1]) for row in rows]
    return found


def test_the_story_comes_true_on_postgresql_and_redis_and_leaves_nothing_behind(
    tmp_path, own_postgres
) -> None:
    output = ""
    shown = {}
    with (
        redis_server() as redis,
        demo(tmp_path, DATABASE_URL=own_postgres, REDIS_URL=redis) as process,
    ):
        for line in process.stdout:
            output += line
            if "repaired" in line:
                shown = tiles(output)
    print(output)
    assert process.returncode == 0, output
    assert "PostgreSQL at 127.0.0.1" in output
    assert "Redis at 127.0.0.1" in output
    times = re.search(
        r"pending ([\d.]+) s → firing ([\d.]+) s → page delivered ([\d.]+) s", output
    )
    assert times is not None
    pending, firing, delivered = map(float, times.groups())
    assert pending < firing <= delivered + 1
    assert delivered < 60
    assert len(shown) == 9
    assert all(shown.values()), shown
    assert 0 < shown["Database connections"][0] < 0.8
    assert 0 < shown["Cache hit rate"][0] <= 1
    assert "short for the demo" in output
    assert re.search(r"[5-9] of \d+ launch items are verified", output)
    # It finds the token from another shell.
    place = r"STATE_DIRECTORY=\S+/state WATCHROOM_RUNTIME_DIR=\S+/run"
    wake = rf"next: {place} \S*watchroom drill --wake Demo --dir"
    assert re.search(wake, output)
    assert "watchroom drill --all" in output
    assert not left_over(tmp_path)


def test_sigterm_stops_everything(tmp_path) -> None:
    with demo(tmp_path) as process:
        for line in process.stdout:
            if "the monitor's page" in line:
                break
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert not left_over(tmp_path)


def test_the_old_command_hands_over_and_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "watchroom", "demo", "--rate", "many"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "use .venv/bin/python examples/demo" in done.stderr
    assert "argument --rate: invalid float value" in done.stderr
    assert done.returncode == 2
