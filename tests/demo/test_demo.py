"""`watchroom demo` without a terminal: the story, or the broken stage."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow


def demo(tmp_path, *words: str, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "watchroom", "demo"),
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


def test_the_story_comes_true_and_leaves_nothing_behind(tmp_path) -> None:
    with demo(tmp_path) as process:
        output, _ = process.communicate(timeout=240)
    print(output)
    assert process.returncode == 0, output
    times = re.search(
        r"pending ([\d.]+) s → firing ([\d.]+) s → page delivered ([\d.]+) s", output
    )
    assert times is not None
    pending, firing, delivered = map(float, times.groups())
    assert pending < firing <= delivered + 1
    assert delivered < 60
    assert "the monitor's page" in output
    assert "short for the demo" in output
    assert re.search(r"[5-9] of \d+ launch items are verified", output)
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
