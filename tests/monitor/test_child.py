"""A child is started again when it ends, and stopped with us."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path

from tests.support.waiting import until_async

from watchroom.monitor.child import Child

# Appends its pid, then ends at once or stays, as told.
CODE = """
import os, sys, time
with open(sys.argv[1], "a") as out: out.write(f"{os.getpid()}\\n")
if sys.argv[2] == "stay": time.sleep(60)
sys.exit(3)
"""


def pids(path):
    return [int(line) for line in path.read_text().split()] if path.exists() else []


async def until(true):
    async def ask():
        return true()

    await until_async(ask)


def watched(path, mode, work):
    async def main():
        command = [sys.executable, "-S", "-c", CODE, str(path), mode]
        child = Child("the child", command, os.environ)
        task = asyncio.create_task(child.run())
        try:
            return await work(child)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return asyncio.run(main())


def test_it_is_started_again_after_it_ends(tmp_path):
    async def work(child):
        await until(lambda: len(pids(tmp_path / "p")) == 2)
        return child.restarts

    assert watched(tmp_path / "p", "end", work) >= 1


PARENT = """
import asyncio, os, sys
from watchroom.monitor.child import Child
asyncio.run(Child("the child", sys.argv[1:], os.environ).run())
"""


def test_it_ends_with_us_though_we_are_killed(tmp_path):
    path = tmp_path / "p"
    child = [sys.executable, "-S", "-c", CODE, str(path), "stay"]
    with subprocess.Popen([sys.executable, "-c", PARENT, *child]) as parent:
        try:
            asyncio.run(until(lambda: pids(path)))
        finally:
            parent.kill()
    (pid,) = pids(path)
    # A zombie is dead: whoever inherited it may not have looked yet.
    asyncio.run(until(lambda: _state(pid) in "ZX"))


def _state(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "X"
    return stat.rpartition(")")[2].split()[0]


def test_it_ends_with_us(tmp_path):
    async def work(child):
        del child
        await until(lambda: pids(tmp_path / "p"))

    watched(tmp_path / "p", "stay", work)
    (pid,) = pids(tmp_path / "p")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        raise AssertionError("the child outlived us")
