"""`watchroom drill`: inject a fault and time the page, stage by stage."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from watchroom.cli import drill_screen
from watchroom.cli.ask import token_for, url_of
from watchroom.cli.records import records_of
from watchroom.cli.token import exporter_token
from watchroom.errors import ConfigError, WatchroomError
from watchroom.formats import alertmanager as alertmanager_file
from watchroom.formats import manifest as manifest_file
from watchroom.prove.batch import Batch, Outcome
from watchroom.prove.chain import View, find_chain, real_pages
from watchroom.prove.drill import Built, DrillRun, How
from watchroom.prove.results import of_drills
from watchroom.prove.wake import WakeRun, alert_for, person
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.prove.chain import Chain
    from watchroom.prove.wake import Woken


@click.command()
@click.argument("alerts", nargs=-1, metavar="[ALERT...]")
@click.option("--all", "every", is_flag=True, help="Every rule, side by side.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("monitoring"),
    show_default=True,
    help="The built directory.",
)
@click.option(
    "--prometheus",
    default="",
    metavar="URL",
    help="The monitor, or Prometheus. Default: the monitor on this machine.",
)
@click.option(
    "--alertmanager", default="", metavar="URL", help="Default: ask Prometheus."
)
@click.option("--exporter", default="", metavar="URL", help="Default: as built.")
@click.option(
    "--accelerated/--unchanged",
    default=None,
    help="Rules that hold for more than a minute: run their accelerated copy, or wait. "
    "Default: accelerated with --all.",
)
@click.option(
    "--wake",
    default="",
    metavar="NAME",
    help="Page this contact in earnest, and wait for the acknowledgement.",
)
@click.option(
    "--within",
    default="15m",
    show_default=True,
    metavar="DURATION",
    help="How long --wake waits.",
)
@click.option(
    "--patience",
    default=1.0,
    show_default=True,
    help="Factor on the time each stage may take.",
)
@click.option("--force", is_flag=True, help="Also while a real P1 is firing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def drill(
    alerts: tuple[str, ...],
    directory: Path,
    prometheus: str,
    alertmanager: str,
    exporter: str,
    wake: str,
    within: str,
    patience: float,
    *,
    every: bool,
    accelerated: bool | None,
    force: bool,
    as_json: bool,
) -> None:
    """Prove an alert, or every alert: fault, rule, route, page, and resolved again.

    The exporter serves faulty series under a job of their own; the rule must fire on
    them and the page must arrive. Real numbers are not touched, nobody is paged: each
    receiver that a real alert would reach gets a [DRILL] message, one for all with
    --all. Results are kept by the monitor, which shows their age.

    An accelerated copy has its rule's expression and a shorter `for`; it is in
    rules/drills.yml and fires for drills only.

    --wake pages a contact of local/contacts.yml as a P1 would, marked as a test, with a
    link to acknowledge it; only that shows that somebody answers.

    \b
    Examples:
      watchroom drill HighErrorRate
      watchroom drill --all                  every rule, in about two minutes
      watchroom drill --all --unchanged      every rule as it is, at night
      watchroom drill --wake Ann             until Ann has acknowledged
      watchroom drill HighErrorRate --prometheus http://127.0.0.1:9090
      watchroom drill HighErrorRate HighLatency --json | jq .passed

    The exporter's token comes from WATCHROOM_TOKEN, WATCHROOM_TOKEN_FILE, or its
    runtime directory on this machine.

    Exit codes: 0 every stage came true, 1 one did not (it is named), 2 bad input.
    """  # noqa: D301 - click's \b is a backspace
    if every + bool(wake) > 1 or (not wake and bool(alerts) == every):
        raise ConfigError(
            "say which alerts, or --all, or --wake NAME", hint="watchroom drill --all"
        )
    seconds = parse_duration(within)
    built = read_built(directory)
    token = exporter_token(built.manifest.project, os.environ)
    prometheus, _ = url_of(directory, prometheus or None)
    chain = find_chain(
        prometheus, alertmanager, exporter or built.manifest.exporter, token
    )
    _refuse_in_earnest(chain, force=force)
    console = Console(highlight=False, stderr=as_json)
    _say_windows(console, built)
    if wake:
        woken = _wake(console, chain, built, wake, alerts, seconds, patience)
        if as_json:
            click.echo(json.dumps(drill_screen.woken_document(woken), indent=2))
        sys.exit(0 if woken.passed else 1)
    how = How(patience, every if accelerated is None else accelerated)
    begun = time.monotonic()
    if every:
        names = list(manifest_file.drills_by_name(built.manifest))
        outcome = _all(console, chain, built, how, names)
    else:
        outcome = _each(console, chain, built, how, alerts)
    took = time.monotonic() - begun
    where = _keep(console, chain, built, outcome)
    if every:
        drill_screen.summary(console, outcome, took, where)
    if as_json:
        click.echo(json.dumps(drill_screen.document(outcome, took), indent=2))
    sys.exit(0 if outcome.passed else 1)


def read_built(directory: Path) -> Built:
    """Return what was built into a directory.

    Raises:
        ConfigError: Nothing was, or it is damaged.
    """
    manifest, config = directory / "watchroom.json", directory / "alertmanager.yml"
    return Built(
        directory,
        manifest_file.load(_read(manifest), str(manifest)),
        alertmanager_file.load(_read(config), str(config)),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {error.strerror}", file=path, hint="watchroom build DIR"
        ) from None


def _refuse_in_earnest(chain: Chain, *, force: bool) -> None:
    if (real := real_pages(chain.prometheus)) and not force:
        raise ConfigError(
            f"a real P1 is firing: {', '.join(real)}",
            hint="drills wait for calm; --force drills all the same",
        )


def _say_windows(console: Console, built: Built) -> None:
    inputs = built.manifest.inputs
    if inputs.for_ or inputs.window:
        console.print(
            f"[dim]built with short windows ({inputs.window}) and for "
            f"({inputs.for_}): the times below are of those[/]"
        )


def _each(
    console: Console, chain: Chain, built: Built, how: How, alerts: Sequence[str]
) -> Outcome:
    verdicts = []
    for alert in alerts:
        with drill_screen.One(console, chain.prometheus) as screen:
            run = DrillRun(
                chain, View(chain), built, alert, how, screen.reached, screen.waits
            )
            screen.announce(alert, run.ran)
            verdicts.append(run.run())
        screen.conclude(verdicts[-1])
    return Outcome(verdicts, [])


def _all(
    console: Console, chain: Chain, built: Built, how: How, alerts: Sequence[str]
) -> Outcome:
    with drill_screen.Many(console, chain.prometheus, len(alerts)) as screen:
        return Batch(chain, built, how, screen).run(alerts)


def _wake(
    console: Console,
    chain: Chain,
    built: Built,
    name: str,
    alerts: Sequence[str],
    seconds: float,
    patience: float,
) -> Woken:
    if not chain.embedded:
        raise ConfigError(
            "--wake needs the embedded monitor, which keeps the acknowledgement",
            field="--prometheus",
        )
    who = person(built, name)
    token = token_for(chain.prometheus, built.manifest.project) or ""
    with drill_screen.One(console, chain.prometheus) as screen:
        run = WakeRun(
            *(chain, built, alerts[0] if alerts else alert_for(built), who, token),
            *(patience, screen.reached, screen.waits),
        )
        screen.announce(run.alert, run.ran)
        woken = run.wake(seconds)
    drill_screen.woken(console, woken)
    try:
        records_of(chain, built.manifest.project).note([woken.result()])
    except WatchroomError as error:
        console.print(f"[yellow]the result is not kept[/]: {drill_screen.plain(error)}")
    return woken


def _keep(console: Console, chain: Chain, built: Built, outcome: Outcome) -> str:
    try:
        records = records_of(chain, built.manifest.project)
        records.note(of_drills(built, outcome))
    except WatchroomError as error:
        console.print(
            f"[yellow]the results are not kept[/]: {drill_screen.plain(error)}"
        )
        return ""
    return records.where
