"""The machine's clock is set: nothing is over, nothing is said twice, all is seen."""

from __future__ import annotations

import pytest
from tests.support.waiting import until

from watchroom.monitor.clock import LEAST_SECONDS, Clock, steady

HOUR, DAY = 3600, 86_400
# The process's own clock, and only its clock: that of the machine is not ours to set.
PROGRAM = """
import runpy, sys, time
from pathlib import Path
real, ahead = time.time, Path({!r})
time.time = lambda: real() + float(ahead.read_text())
runpy.run_module("watchroom", run_name="__main__")
"""


@pytest.fixture
def watch(target, files, monitor, tmp_path):
    """A monitor whose clock is set by `watch.set(seconds)`."""
    path = tmp_path / "ahead"
    path.write_text("0")

    def put(seconds):
        part = path.with_suffix(".new")
        part.write_text(str(seconds))
        part.replace(path)

    monitor.program = ("-c", PROGRAM.format(str(path)))
    monitor.set = put
    files.job(target.address).write()
    monitor.start().ready()
    until(lambda: (monitor.value("count_over_time(m[1m])") or 0) >= 3)
    return monitor


def statuses(pages):
    return [message["status"] for message in pages.messages()]


@pytest.mark.parametrize("jump", [-HOUR, -3 * DAY, HOUR, 40 * DAY])
def test_a_clock_that_is_set_ends_nothing_and_repeats_nothing(
    watch, target, pages, jump
):
    target.paths["/metrics"] = "m 9\n"
    until(lambda: statuses(pages) == ["firing"], what="the page")
    watch.set(jump)
    until(lambda: "the clock was set by" in watch.log.read_text(), what="it is noticed")
    # New samples are taken: an hour of them was refused.
    until(
        lambda: (watch.value("count_over_time(m[10s])") or 0) >= 6, what="samples go on"
    )
    assert watch.value("m") == 9
    assert statuses(pages) == ["firing"], "neither over nor said again"
    target.paths["/metrics"] = "m 1\n"
    until(lambda: statuses(pages) == ["firing", "resolved"], 15, "its end")
    target.paths["/metrics"] = "m 9\n"
    until(lambda: statuses(pages)[2:] == ["firing"], what="a new one")
    assert "Traceback" not in watch.log.read_text()


def test_only_what_jumps_was_set():
    wall, since = [1000.0], [50.0]
    heard = []
    clock = Clock(lambda: wall[0], lambda: since[0], moved=[heard.append])
    for _ in range(100):  # slewed by a second each
        wall[0] += 11
        since[0] += 10
        assert clock.now() == wall[0]
    assert heard == []
    wall[0] -= LEAST_SECONDS - 1
    clock.now()
    assert heard == []
    wall[0] -= HOUR
    clock.now()
    clock.now()
    assert heard == [-HOUR]
    wall[0] += 2 * HOUR
    clock.now()
    assert heard == [-HOUR, 2 * HOUR]
    assert steady() <= steady()
