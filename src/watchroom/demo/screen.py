"""What the demo shows: lines of the story, and a live summary below them."""

from __future__ import annotations

import math
import textwrap
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from watchroom.demo.story import ALERT

if TYPE_CHECKING:
    from watchroom.demo.pager import Page
    from watchroom.demo.story import Numbers, Site

_INDENT = 21  # where the text of a line begins
_COLOURS = {
    "fault": "yellow",
    "pending": "yellow",
    "firing": "red",
    "page": "red",
    "BROKEN": "bold red",
    "recovered": "green",
    "resolved": "green",
    "told": "bold green",
    "verified": "green",
    "to do": "yellow",
}


class Screen:
    """Prints the story; on a terminal the numbers stay on the last line.

    One thread writes to it. Text that begins with a space, as the tail of a log does,
    is shown as it stands; the rest is wrapped under its own beginning.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.live = self.console.is_terminal
        self._start = time.monotonic()
        self._shown = 0.0

    def say(self, what: str, text: str) -> None:
        """Print one thing that came true: a word, and what it means."""
        self._wipe()
        first, *more = self._folded(text)
        colour = _COLOURS.get(what, "bold")
        head = f"{self._clock()}  [{colour}]{what:<9}[/]"
        self.console.print(f"{head}  {escape(first)}", soft_wrap=True)
        for line in more:
            self.console.print(f"{'':{_INDENT}}{escape(line)}", soft_wrap=True)

    def page(self, page: Page) -> None:
        """Print a page that the demo's pager got."""
        if page.status == "resolved":
            self.say("resolved", f"{page.alertname} is over: the pager was told")
        else:
            self.say("page", f"{page.alertname}: {page.summary}\n{page.description}")

    def summary(self, site: Site) -> None:
        """Show the numbers: each second on a terminal, each five elsewhere."""
        if time.monotonic() - self._shown < (1 if self.live else 5):
            return
        text = line_of(site.numbers())
        if self.live:
            # A line that wraps could not be wiped.
            text = text[: max(1, self.console.width - _INDENT - 1)]
            self._wipe()
            shown = f"{self._clock()}  [dim]{'now':<9}  {escape(text)}[/]"
            self.console.print(shown, end="\r", soft_wrap=True)
        else:
            self.say("now", text)
        self._shown = time.monotonic()

    def _clock(self) -> str:
        return f"[dim]{time.monotonic() - self._start:6.1f} s[/]"

    def _folded(self, text: str) -> list[str]:
        wide = max(40, self.console.width - _INDENT)
        found = []
        for line in text.splitlines():
            if not self.live or line.startswith(" "):
                found.append(line)
            else:
                # A URL is for clicking on: it is never broken.
                found += textwrap.wrap(
                    line, wide, break_long_words=False, break_on_hyphens=False
                ) or [""]
        return found or [""]

    def _wipe(self) -> None:
        if self.live:
            self.console.file.write("\r\x1b[2K")


def line_of(now: Numbers) -> str:
    """Return the live summary in one line."""
    if math.isnan(now.rate):
        return "no numbers"

    def said(value: float, text: str) -> str:
        return "-" if math.isnan(value) else text

    return (
        f"{ALERT} {now.state} · {now.rate:.0f} req/s · "
        f"{said(now.errors, f'{now.errors:.1%}')} fail · "
        f"p95 {said(now.p95, f'{now.p95 * 1000:.0f} ms')}"
    )
