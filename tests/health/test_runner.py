"""One run at a time, and nobody waits longer than the check may take."""

import asyncio
import threading
import time

import pytest

from watchroom.health.checks import Check
from watchroom.health.runner import Runner

SHORT = 0.2


class Gate:
    """A check that waits until it is opened, and counts its runs."""

    def __init__(self, *, opened=False):
        self.opened = threading.Event()
        self.runs = 0
        self.error = None
        if opened:
            self.opened.set()

    def __call__(self, _):
        self.runs += 1
        self.opened.wait(30)
        if self.error:
            raise self.error


@pytest.fixture
def gate():
    made = Gate()
    yield made
    made.opened.set()


def ask(runner, *checks):
    return {one.check.name: one for one in runner.run(checks)}


def test_a_good_result_is_served_until_it_is_old(gate):
    clock = [100.0]
    runner, check = Runner(lambda: clock[0]), Check("c", gate, True, 1.0, 2.0)
    gate.opened.set()

    assert ask(runner, check)["c"].ok
    clock[0] += 1.9
    aged = ask(runner, check)["c"]
    assert (aged.ok, gate.runs) == (True, 1)
    assert aged.age == pytest.approx(1.9)
    clock[0] += 0.2
    assert ask(runner, check)["c"].age == 0.0
    assert gate.runs == 2


def test_many_callers_share_one_run_and_one_thread_stays_behind(gate):
    runner, check = Runner(), Check("stuck", gate, True, SHORT, 0.0)
    found = []
    callers = [
        threading.Thread(target=lambda: found.append(ask(runner, check)["stuck"]))
        for _ in range(20)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert [one.error for one in found] == ["timeout"] * 20
    assert gate.runs == 1
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("health-stuck") == 1


def test_a_run_that_never_ends_holds_up_only_the_first_caller(gate):
    clock = [100.0]
    runner, check = Runner(lambda: clock[0]), Check("c", gate, True, SHORT, 0.0)
    assert ask(runner, check)["c"].error == "timeout"
    clock[0] += SHORT
    assert ask(runner, check)["c"].error == "timeout"
    clock[0] += 3 * SHORT
    assert ask(runner, check)["c"].error == "stuck"
    assert gate.runs == 1


def test_a_run_that_never_ends_is_given_up_for_another_a_few_times(gate):
    clock, server = [100.0], [gate]
    runner = Runner(lambda: clock[0])

    def run(seconds):
        server[0](seconds)

    check = Check("gone", run, True, 1.0, 0.0)

    def comes_back():
        server[0] = Gate(opened=True)
        until = time.monotonic() + 20
        while not ask(runner, check)["gone"].ok:
            assert time.monotonic() < until

    for later in (0.0, 3.5, 9.5, 27.5, 80.0):
        clock[0] += later
        ask(runner, check)
    assert gate.runs == 4  # each is given more time than the one before
    assert ask(runner, check)["gone"].error == "stuck"
    clock[0] += 2.0
    comes_back()

    server[0] = gate
    for _ in range(20):
        clock[0] += 1e5
        ask(runner, check)
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("health-gone") == 9
    gate.opened.set()  # who ends makes room
    comes_back()


def test_it_recovers_when_the_run_ends(gate):
    runner, check = Runner(), Check("c", gate, True, SHORT, 0.0)
    assert not ask(runner, check)["c"].ok
    gate.opened.set()
    until = time.monotonic() + 20
    while not ask(runner, check)["c"].ok:
        assert time.monotonic() < until


def test_one_slow_check_delays_no_other_result(gate):
    runner = Runner()
    quick = Check("quick", Gate(opened=True), True)
    found = ask(runner, Check("slow", gate, False, SHORT, 0.0), quick)
    assert [found["slow"].ok, found["quick"].ok] == [False, True]


def test_a_check_that_may_take_long_is_told_as_it_was_and_holds_up_nobody(gate):
    runner, check = Runner(most=SHORT), Check("long", gate, True, 30.0, 0.0)
    began = time.monotonic()
    first = ask(runner, check, Check("quick", Gate(opened=True), True))
    assert time.monotonic() - began < 10
    assert (first["long"].ok, first["long"].status) == (False, "pending")
    assert first["quick"].ok

    gate.opened.set()
    until = time.monotonic() + 20
    while not ask(runner, check)["long"].ok:
        assert time.monotonic() < until
    gate.opened.clear()
    again = ask(runner, check)["long"]
    assert again.ok
    assert again.age > 0


def test_what_a_check_raises_is_told_by_its_class_alone(gate, caplog):
    gate.opened.set()
    gate.error = RuntimeError("password=hunter2")
    caplog.set_level("INFO", "watchroom.health")
    runner, check = Runner(), Check("c", gate, True, 1.0, 0.0)

    first, second = ask(runner, check)["c"], ask(runner, check)["c"]
    gate.error = None
    good = ask(runner, check)["c"]

    assert (first.status, first.error, second.error) == ("error", *["RuntimeError"] * 2)
    assert "hunter2" not in repr(first[1:])
    assert good.ok
    said = [one[2] for one in caplog.record_tuples if one[0] == "watchroom.health"]
    assert said == [
        "The hard health check 'c' fails: RuntimeError.",
        "The health check 'c' passes again.",
    ]


def test_an_exit_inside_a_check_is_a_failure(gate):
    gate.opened.set()
    gate.error = SystemExit(3)
    assert ask(Runner(), Check("c", gate, True))["c"].error == "SystemExit"


def test_a_check_that_holds_once_is_not_asked_again(gate):
    clock = [100.0]
    runner = Runner(lambda: clock[0])
    check = Check("c", gate, True, 1.0, 2.0, once=True)
    gate.opened.set()
    gate.error = ValueError()
    assert not ask(runner, check)["c"].ok
    gate.error = None
    clock[0] += 3
    assert ask(runner, check)["c"].ok
    clock[0] += 1e6
    assert ask(runner, check)["c"].ok
    assert gate.runs == 2


def test_an_event_loop_goes_on_while_a_check_hangs(gate):
    runner, check = Runner(), Check("c", gate, True, SHORT, 0.0)
    ticks = 0

    async def both():
        nonlocal ticks
        waiting = asyncio.ensure_future(runner.arun([check]))
        while not waiting.done():
            ticks += 1
            await asyncio.sleep(0.01)
        return waiting.result()

    (found,) = asyncio.run(both())
    assert found.error == "timeout"
    assert ticks >= 3
    gate.opened.set()


def test_a_caller_that_goes_away_takes_no_run_along(gate):
    runner, check = Runner(), Check("c", gate, True, 30.0, 60.0)

    async def leave():
        waiting = asyncio.ensure_future(runner.arun([check]))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(leave())
    gate.opened.set()
    assert ask(runner, check)["c"].ok
    assert gate.runs == 1


def test_a_fork_starts_afresh(gate):
    runner, check = Runner(), Check("c", gate, True, SHORT, 60.0)
    assert not ask(runner, check)["c"].ok  # under way, in a thread of the parent's
    runner._pid -= 1  # as a child sees it
    gate.opened.set()
    assert ask(runner, check)["c"].ok
    assert gate.runs == 2
