"""What the demo shows, on a terminal and in a pipe."""

from __future__ import annotations

import os
import sys

import pytest
from examples.demo import screen


@pytest.fixture(params=[True, False], ids=["terminal", "pipe"])
def live(request, monkeypatch):
    kind = request.param
    monkeypatch.setattr(sys.stdout, "isatty", lambda: kind)  # pytest's is no terminal
    return request.param


@pytest.fixture
def shown(live) -> screen.Screen:
    del live
    return screen.Screen()


def test_lines_begin_under_their_beginning(shown, capsys) -> None:
    shown.say("BROKEN", "stage seed: its last words:\n    Traceback:\n      File x")
    _, *more = capsys.readouterr().out.rstrip("\n").split("\n")
    assert more == [f"{'':21}    Traceback:", f"{'':21}      File x"]


def test_the_numbers_stay_on_the_last_line_of_a_terminal_only(
    shown, live, capsys, monkeypatch
) -> None:
    narrow = os.terminal_size((60, 24))
    size = "get_terminal_size"
    monkeypatch.setattr(screen.shutil, size, lambda *_, **__: narrow)  # pytest has none
    shown.summary(lambda: "number " * 30)
    out = capsys.readouterr().out
    assert out.endswith("\r" if live else "\n")
    assert ("\x1b" in out) is live
    # A line that wraps could not be wiped.
    line = out.strip("\r\n").removeprefix("\x1b[2K").replace("\x1b[1m", "")
    assert len(line.replace("\x1b[0m", "")) < 60


def test_the_numbers_do_not_flood(shown, capsys) -> None:
    for _ in range(3):
        shown.summary(lambda: "numbers")
    assert capsys.readouterr().out.count("numbers") == 1
