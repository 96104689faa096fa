"""What the demo shows, on a terminal and in a pipe."""

from __future__ import annotations

import io
import math

from rich.console import Console

from watchroom.demo.pager import Page
from watchroom.demo.screen import Screen, line_of
from watchroom.demo.story import Numbers

BUSY = Numbers(rate=30.4, errors=0.115, p95=0.0234, state="pending")


class Site:
    """The numbers of a running demo, without one: only the screen is tested here."""

    def numbers(self) -> Numbers:
        return BUSY


def screen(width: int, *, terminal: bool) -> tuple[Screen, io.StringIO]:
    out = io.StringIO()
    console = Console(
        file=out,
        width=width,
        force_terminal=terminal,
        color_system=None,
        highlight=False,
        legacy_windows=False,
    )
    return Screen(console), out


def test_text_is_folded_under_its_own_beginning() -> None:
    shown, out = screen(80, terminal=True)
    shown.say("page", "word " * 30)
    lines = out.getvalue().removeprefix("\r\x1b[2K").rstrip("\n").split("\n")
    assert len(lines) > 1
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].index("word") == 21
    assert all(line.index("word") == 21 for line in lines)


def test_the_tail_of_a_log_stands_as_it_was_written() -> None:
    shown, out = screen(80, terminal=True)
    shown.say("BROKEN", "stage seed: its last words:\n    Traceback:\n      File x")
    lines = out.getvalue().split("\n")
    assert lines[1] == f"{'':21}    Traceback:"
    assert lines[2] == f"{'':21}      File x"


def test_a_pipe_gets_whole_lines_without_escapes() -> None:
    shown, out = screen(80, terminal=False)
    shown.say("page", "word " * 30)
    shown.summary(Site())
    first, second = out.getvalue().splitlines()
    assert first.count("word") == 30
    assert "HighErrorRate pending" in second
    assert "\x1b" not in out.getvalue()


def test_the_live_line_never_wraps() -> None:
    shown, out = screen(60, terminal=True)
    shown.summary(Site())
    line = out.getvalue().removeprefix("\r\x1b[2K").rstrip("\r")
    assert len(line) < 60
    assert "HighErrorRate pending" in line


def test_the_live_line_fits_eighty_columns() -> None:
    assert len(line_of(BUSY)) <= 80 - 22


def test_without_numbers_it_says_so() -> None:
    nothing = Numbers(math.nan, math.nan, math.nan, "unknown")
    assert line_of(nothing) == "no numbers"


def test_a_page_is_shown_with_its_description() -> None:
    shown, out = screen(200, terminal=False)
    shown.page(Page(0.0, "firing", "HighErrorRate", "9% fail", "Most: GET [x] (3)"))
    shown.page(Page(0.0, "resolved", "HighErrorRate", "", ""))
    first, second, third = out.getvalue().splitlines()
    assert "HighErrorRate: 9% fail" in first
    assert second.strip() == "Most: GET [x] (3)"
    assert "is over" in third
