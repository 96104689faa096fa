"""`watchroom demo`: the whole chain, on a real app, in about two minutes."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import click

from watchroom.demo.keys import keys
from watchroom.demo.pager import Pager
from watchroom.demo.processes import DemoError
from watchroom.demo.screen import Screen
from watchroom.demo.stage import FOR, INTERVAL, USUAL, WINDOW, Stage
from watchroom.demo.story import Site, Story, works
from watchroom.errors import ConfigError
from watchroom.prove.client import redacted

if TYPE_CHECKING:
    from collections.abc import Callable

_SHARE = "30%"
_STOPPED = 130  # as a shell says it of Ctrl-C
_NEXT = "prove it on your own app: README, “Put it into your project”"
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stopped(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP asked the demo to end."""


class _Ending:
    """What a signal that ends the demo does.

    Raising is at once, but Python swallows what is raised while it forks a child or
    finalises an object: so it is also kept, for `check`.
    """

    def __init__(self) -> None:
        self._asked = False

    def listen(self) -> None:
        """Take the signals."""
        for number in _ENDING:
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: object) -> NoReturn:
        del number, frame
        self._asked = True
        raise _Stopped

    def check(self) -> None:
        """Raise _Stopped when a signal has come."""
        if self._asked:
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
@click.option(
    "--rate",
    type=click.FloatRange(min=1, max=500),
    default=30.0,
    show_default=True,
    help="Requests per second.",
)
@click.option(
    "--stay/--no-stay",
    default=None,
    help="Stay up when the story is told (default: on a terminal).",
)
def demo(
    directory: Path, webhooks: tuple[str, ...], rate: float, *, stay: bool | None
) -> None:
    """Watch a real Django app fail and be paged for it.

    Starts the sample app (gunicorn, 4 workers) behind TLS, a Celery worker and beat,
    the exporter, the monitor and a load generator; injects a fault, follows the alert
    to the page, removes the fault and waits until it is resolved. All on loopback;
    everything it started stops with it. On SQLite and files, or on the PostgreSQL and
    Redis of DATABASE_URL and REDIS_URL: databases of its own, empty at first.

    \b
    Examples:
      watchroom demo
      watchroom demo --webhook http://127.0.0.1:5001/page
      watchroom demo </dev/null          no terminal: ends when the story is told
      DATABASE_URL=postgres://… REDIS_URL=redis://… watchroom demo

    Exit codes: 0 the story came true, 1 a stage did not (it is named), 2 bad input,
    130 stopped by Ctrl-C or a signal.
    """  # noqa: D301 - click's \b is a backspace
    for url in webhooks:
        _refuse_no_url(url)
    stay = sys.stdin.isatty() if stay is None else stay
    screen = Screen()
    code = _play(screen, directory.resolve(), webhooks, rate, stay=stay)
    if code == _STOPPED:
        with contextlib.suppress(OSError):
            screen.say("stopped", "nothing is left running")
    sys.exit(code)


def _play(
    screen: Screen,
    directory: Path,
    webhooks: tuple[str, ...],
    rate: float,
    *,
    stay: bool,
) -> int:
    """Run the demo and stop all of it; return the exit code."""
    with contextlib.ExitStack() as stack:
        try:
            ending = _Ending()
            ending.listen()
            pager = Pager()
            stack.callback(pager.close)
            stage = Stage(directory, [pager.url, *webhooks], rate)
            stack.callback(stage.stop)
            pressed = stack.enter_context(keys())
            # The last in is the first out: impatience must not stop the stopping.
            stack.callback(_deafen)
            show = _Show(screen, pager, stage, ending, _names(webhooks))
            show.open()
            show.tell()
            show.check()
            screen.say("next", _NEXT)
            ending.check()
            if stay:
                show.stay(pressed)
        except DemoError as error:
            screen.say("BROKEN", f"stage {error.stage}: {error}")
            screen.say("logs", str(directory / "logs"))
            return 1
        except _Stopped:
            # The terminal may be what has gone.
            with contextlib.suppress(OSError):
                screen.say("stopping", "app, worker, exporter, monitor and visitors")
            return _STOPPED
    return 0


class _Show:
    """The story on the screen: opened, told, and told again on a key."""

    def __init__(
        self,
        screen: Screen,
        pager: Pager,
        stage: Stage,
        ending: _Ending,
        others: dict[str, str],
    ) -> None:
        self._screen = screen
        self._pager = pager
        self._stage = stage
        self._ending = ending
        self._site = Site(stage.app_url, stage.monitor_url, WINDOW)
        self._story = Story(self._site, pager, screen.say, self._tick, others)

    def open(self) -> None:
        """Start everything and wait until the monitor sees the traffic."""
        say, stage = self._screen.say, self._stage
        say(
            "services",
            stage.services
            or "SQLite and files; others where DATABASE_URL and REDIS_URL say so",
        )
        say("preparing", "database, sample data, monitoring files")
        stage.prepare()
        stage.start()
        say(
            "windows",
            f"short for the demo: scrape {INTERVAL}, rates over {WINDOW}, for {FOR} "
            "(defaults: 5s, 5m, 5m)",
        )
        if taken := [usual for usual in USUAL if usual not in stage.ports]:
            say("ports", f"taken, so others are used: {', '.join(map(str, taken))}")
        self._story.wait(
            "start", self._site.answers, 45, "the app does not answer; see app.log"
        )
        self._story.wait(
            "start",
            lambda: works(stage.exporter_url, stage.site_url),
            45,
            f"a part does not work; see {stage.exporter_url}metrics and the logs",
        )
        stage.load()
        stage.watch()
        silent = "the monitor does not answer; see monitor.log"
        self._story.wait("start", self._site.watches, 45, silent)
        say("open", f"{stage.monitor_url}  ← the monitor's page")
        say("log in", f"{stage.login_link()}  ← to acknowledge and silence there; once")
        say("app", f"{stage.app_url}   metrics {stage.exporter_url}metrics")
        say("site", f"{stage.site_url}   the same through TLS, as the probe sees it")
        say("files", str(stage.monitoring))
        say("on call", "the demo's own pager, by local/contacts.yml there")
        self._story.normal(10)

    def tell(self) -> None:
        """Tell the story once, with its times."""
        times = self._story.tell(_SHARE)
        self._screen.say(
            "told",
            f"fault → pending {times.pending:.1f} s → firing {times.firing:.1f} s → "
            f"page delivered {times.delivered:.1f} s; "
            f"repaired → resolved {times.resolved:.1f} s",
        )

    def check(self) -> None:
        """Say which items of the launch checklist are verified, and what is next."""
        items = self._stage.check()["items"]
        groups = {"passed": "verified", "failed": "to do", "unverifiable": "unknown"}
        for state, word in groups.items():
            for item in items:
                if item["state"] == state:
                    following = f"\nnext: {item['next']}" if item["next"] else ""
                    text = f"{item['title']}: {item['evidence']}{following}"
                    self._screen.say(word, text)
        done = sum(item["state"] == "passed" for item in items)
        self._screen.say(
            "checked",
            f"{done} of {len(items)} launch items are verified: watchroom check; "
            f"{self._stage.monitor_url}checklist keeps them",
        )

    def stay(self, pressed: Callable[[], str]) -> NoReturn:
        """Stay up, and tell it again when f is pressed."""
        prompt = "press f to inject the fault again, Ctrl-C to stop"
        self._screen.say("up", prompt)
        pressed()  # what came before the question is no answer
        while True:
            if "f" in pressed().lower():
                try:
                    self.tell()
                except DemoError as error:
                    # A process that died ends the demo with the next tick.
                    self._screen.say("BROKEN", f"stage {error.stage}: {error}")
                self._screen.say("up", prompt)
                pressed()  # one story at a time
            self._tick()
            time.sleep(0.2)

    def _tick(self) -> None:
        self._ending.check()
        for page in self._pager.news():
            self._screen.page(page)
        self._stage.processes.check()
        self._screen.summary(self._site)


def _names(webhooks: tuple[str, ...]) -> dict[str, str]:
    """Return what to call each webhook, by the receiver that the sample app makes."""
    # The path of a webhook is its secret. The first receiver is the demo's own pager.
    return {f"ops-{n}": redacted(url) for n, url in enumerate(webhooks, 2)}


def _refuse_no_url(text: str) -> None:
    try:
        parts = urlsplit(text)
        good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good or any(char.isspace() for char in text):
        raise ConfigError(
            "not an HTTP URL",
            field="--webhook",
            hint="write http://127.0.0.1:5001/page",
        )


def _deafen() -> None:
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
