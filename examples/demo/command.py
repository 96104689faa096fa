"""The demo: watch a real Django app fail and be paged for it.

Starts the sample app (gunicorn, 4 workers) behind TLS, a Celery worker and beat, the
exporter, the monitor and a load generator; injects a fault, follows the alert to the
page, removes the fault and waits until it is resolved. All on loopback; everything it
started stops with it. On SQLite and files, or on the PostgreSQL and Redis of
DATABASE_URL and REDIS_URL: databases of its own, empty at first.

Exit codes: 0 the story came true, 1 a stage did not (it is named), 2 bad input, 130
stopped by Ctrl-C or a signal.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from examples.demo.screen import Screen, keys
from examples.demo.stage import FOR, INTERVAL, WINDOW, DemoError, Stage
from examples.demo.story import Pager, Story
from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_STATES = {"passed": "verified", "failed": "to do", "unverifiable": "unknown"}


def main() -> None:
    """Run the demo and exit."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("demo", description=__doc__, formatter_class=plain)
    add = parser.add_argument
    where = "directory for the demo's files; emptied first (default: .demo)"
    add("--dir", type=Path, default=Path(".demo"), help=where)
    also = "also page this URL (version-4 webhook body); may be repeated"
    add("--webhook", action="append", default=[], metavar="URL", help=also)
    add("--rate", type=float, default=30, help="requests per second (default: 30)")
    stay = "keep running after the tour (default: on a terminal)"
    terminal, flag = sys.stdin.isatty(), argparse.BooleanOptionalAction
    add("--stay", action=flag, default=terminal, help=stay)
    options = parser.parse_args()
    options.dir = options.dir.resolve()
    screen = Screen()
    try:
        _play(options, screen)
    except (ConfigError, ModuleNotFoundError) as error:
        parser.exit(2, f"demo: {error}\n")
    except DemoError as error:
        screen.say("BROKEN", f"stage {error.stage}: {error}")
        screen.say("logs", str(options.dir / "logs"))
        sys.exit(1)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # the terminal may be what has gone
            screen.say("stopped", "all processes of the demo have ended")
        sys.exit(130)


def _play(options: argparse.Namespace, screen: Screen) -> None:
    """Run the demo, and stop all of it however that ends."""
    with contextlib.ExitStack() as stack:
        pager = Pager()
        stack.callback(pager.shutdown)
        stage = Stage(options.dir, [pager.url, *options.webhook], options.rate)
        stack.callback(stage.stop)
        stage.processes.listen()
        pressed = stack.enter_context(keys())
        story = Story(stage, pager, screen)
        _open(screen, stage, story)
        story.tell()
        _check(screen, stage)
        stage.processes.check()
        while options.stay:
            _again(screen, story, pressed)


def _open(screen: Screen, stage: Stage, story: Story) -> None:
    say = screen.say
    say("services", stage.services or "SQLite and files")
    say("preparing", "database, sample data, monitoring files")
    short = f"scrape {INTERVAL}, rates over {WINDOW}, for {FOR} (defaults: 5s, 5m, 5m)"
    say("windows", f"short for the demo: {short}")
    story.open()
    say("open", f"{stage.monitor_url}  ← the monitor's page")
    link = stage.ask("login")["url"]
    say("log in", f"{link}  ← logs a browser in, once")
    say("app", f"{stage.app_url}   metrics {stage.exporter_url}metrics")
    say("site", f"{stage.site_url}   the app through TLS, as the probe sees it")
    say("files", str(stage.monitoring))
    story.normal(10)


def _check(screen: Screen, stage: Stage) -> None:
    """Say which items of the launch checklist are verified, and what is next."""
    items = stage.ask("check")["items"]
    for state, word in _STATES.items():
        for item in (item for item in items if item["state"] == state):
            following = f"\nnext: {item['next']}" if item["next"] else ""
            screen.say(word, f"{item['title']}: {item['evidence']}{following}")
    done = sum(item["state"] == "passed" for item in items)
    page = f"{stage.monitor_url}checklist shows them"
    screen.say("checked", f"{done} of {len(items)} launch items are verified; {page}")
    screen.say("next", "try it on your own app: README, “Put it into your project”")


def _again(screen: Screen, story: Story, pressed: Callable[[], str]) -> None:
    screen.say("up", "press f to inject the fault again, Ctrl-C to stop")
    pressed()  # what came before the question is no answer
    while "f" not in pressed().lower():
        story.tick()
        time.sleep(0.2)
    try:
        story.tell()
    except DemoError as error:
        # A process that died ends the demo with the next tick.
        screen.say("BROKEN", f"stage {error.stage}: {error}")
