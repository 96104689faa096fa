"""`watchroom demo`: the whole chain, on a real app, in about two minutes."""

from __future__ import annotations

import math
import select
import signal
import sys
import termios
import textwrap
import threading
import time
import tty
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from rich.console import Console
from rich.markup import escape

from watchroom.demo.pager import Page, Pager
from watchroom.demo.processes import DemoError
from watchroom.demo.stage import FOR, INTERVAL, WINDOW, Stage, clear
from watchroom.demo.story import ALERT, Numbers, Site, Story, Times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHARE = "30%"
_INDENT = 21  # where the text of a line begins
_COLOURS = {
    "fault": "yellow",
    "pending": "yellow",
    "firing": "red",
    "page": "red",
    "resolved": "green",
    "told": "green",
}


class _Screen:
    """Lines of the story, and a live summary below them on a terminal."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)
        self.live = self.console.is_terminal
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._shown = 0.0

    def say(self, what: str, text: str) -> None:
        colour = _COLOURS.get(what, "bold")
        at = time.monotonic() - self._start
        if self.live:
            wide = max(40, self.console.width - _INDENT)
            text = f"\n{'':{_INDENT}}".join(textwrap.wrap(text, wide))
        with self._lock:
            self._wipe()
            self.console.print(
                f"[dim]{at:6.1f} s[/]  [{colour}]{what:<9}[/]  {escape(text)}",
                soft_wrap=True,
            )

    def page(self, page: Page) -> None:
        if page.status == "resolved":
            self.say("resolved", f"{page.alertname} is over: the pager was told")
            return
        self.say("page", f"{page.alertname}: {page.summary}")
        for line in page.description.splitlines():
            self.say("", line)

    def summary(self, site: Site) -> None:
        """Show the numbers: each second on a terminal, each five elsewhere."""
        if time.monotonic() - self._shown < (1 if self.live else 5):
            return
        text = _line(site.numbers())
        if not self.live:
            self.say("now", text)
        else:
            with self._lock:
                self._wipe()
                self.console.print(f"          [dim]{text}[/]", end="\r")
        self._shown = time.monotonic()

    def _wipe(self) -> None:
        if self.live:
            self.console.file.write("\r\x1b[2K")


def _line(now: Numbers) -> str:
    def said(value: float, text: str) -> str:
        return "no data" if math.isnan(value) else text

    return (
        f"{said(now.rate, f'{now.rate:.0f} requests/s')} · "
        f"{said(now.errors, f'{now.errors:.1%} failing')} · "
        f"p95 {said(now.p95, f'{now.p95 * 1000:.0f} ms')} · {ALERT} {now.state}"
    )


class _Stopped(BaseException):
    """SIGTERM or SIGHUP asked the demo to end."""


def _stop(number: int, frame: object) -> NoReturn:
    del number, frame
    raise _Stopped


@click.command()
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".demo"),
    show_default=True,
    help="Where its files, logs and databases go; emptied first.",
)
@click.option(
    "--webhook",
    "webhooks",
    multiple=True,
    metavar="URL",
    help="Also page this URL (version-4 webhook body); may be repeated.",
)
@click.option("--rate", default=30.0, show_default=True, help="Requests per second.")
@click.option(
    "--stay/--no-stay",
    default=None,
    help="Stay up when the story is told (default: on a terminal).",
)
def demo(
    directory: Path, webhooks: tuple[str, ...], rate: float, *, stay: bool | None
) -> None:
    """Watch a real Django app fail and be paged for it.

    Starts the sample app (gunicorn, 4 workers), a Celery worker, the exporter, the
    monitor and a load generator; injects a fault, follows the alert to the page,
    removes the fault and waits until it is resolved. All on loopback; everything it
    started stops with it.

    \b
    Examples:
      watchroom demo
      watchroom demo --webhook http://127.0.0.1:5001/page
      watchroom demo </dev/null          no terminal: ends when the story is told

    Exit codes: 0 the story came true, 1 a stage did not (it is named), 2 bad input,
    130 stopped by Ctrl-C.
    """  # noqa: D301 - click's \b is a backspace
    clear(directory.resolve())
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    screen = _Screen()
    pager = Pager(screen.page)
    stage = Stage(directory.resolve(), [pager.url, *webhooks], rate)
    try:
        _tell(screen, pager, stage, stay=sys.stdin.isatty() if stay is None else stay)
    except DemoError as error:
        screen.say("BROKEN", f"stage {error.stage}: {error}")
        screen.say("", f"logs are in {stage.processes.logs}")
        sys.exit(1)
    except (KeyboardInterrupt, _Stopped):
        screen.say("stopped", "everything it started is being stopped")
        sys.exit(130)
    finally:
        stage.processes.stop()
        pager.close()


def _tell(screen: _Screen, pager: Pager, stage: Stage, *, stay: bool) -> None:
    site = Site(stage.app_url, stage.monitor_url, WINDOW)

    def tick() -> None:
        stage.processes.check()
        screen.summary(site)

    story = Story(site, pager, screen.say, tick)
    screen.say("setting up", "database, sample data, monitoring files")
    stage.prepare()
    stage.start()
    screen.say(
        "windows",
        f"short for the demo: scrape {INTERVAL}, rates over {WINDOW}, for {FOR} "
        "(defaults: 5s, 5m, 5m)",
    )
    story.wait("start", site.answers, 45, "the app does not answer; see app.log")
    stage.load()
    screen.say("open", f"{stage.monitor_url}  ← the monitor's page")
    screen.say("app", f"{stage.app_url}   metrics {stage.metrics_url}")
    screen.say("files", str(stage.monitoring))
    story.normal(10)
    _report(screen, story.tell(_SHARE))
    if stay:
        _stay(screen, story, tick)


def _report(screen: _Screen, times: Times) -> None:
    screen.say(
        "told",
        f"fault → pending {times.pending:.1f} s → firing {times.firing:.1f} s → "
        f"page delivered {times.delivered:.1f} s; "
        f"repaired → resolved {times.resolved:.1f} s",
    )
    screen.say(
        "next", "prove it on your own app: watchroom drill HighErrorRate (see README)"
    )


def _stay(screen: _Screen, story: Story, tick: Callable[[], None]) -> None:
    screen.say("up", "press f to inject the fault again, Ctrl-C to stop")
    with _keys() as pressed:
        while True:
            if pressed() == "f":
                try:
                    _report(screen, story.tell(_SHARE))
                except DemoError as error:
                    screen.say("BROKEN", f"stage {error.stage}: {error}")
            tick()
            time.sleep(0.2)


@contextmanager
def _keys() -> Iterator[Callable[[], str]]:
    """Yield a function that returns the key pressed since, or an empty string."""
    if not sys.stdin.isatty():
        yield lambda: ""
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield lambda: sys.stdin.read(1) if _ready(descriptor) else ""
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _ready(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])
