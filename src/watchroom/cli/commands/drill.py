"""`watchroom drill`: inject a fault and time the page, stage by stage."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape

from watchroom.cli import drill_screen
from watchroom.cli.options import DURATION, MONITORING, servers
from watchroom.cli.servers import chain_of, given, records_of
from watchroom.errors import ConfigError, WatchroomError
from watchroom.formats import alertmanager as alertmanager_file
from watchroom.formats import manifest as manifest_file
from watchroom.formats.reading import text_of
from watchroom.prove.chain import View, real_pages
from watchroom.prove.drills.batch import Batch, BatchOutcome
from watchroom.prove.drills.drill import Built, DrillRun, How
from watchroom.prove.drills.results import of_answers, of_drills
from watchroom.prove.drills.wake import WakeRun, alert_for, person

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.prove.chain import Chain
    from watchroom.prove.drills.wake import Woken
    from watchroom.prove.records import Result


@click.command()
@click.argument("alerts", nargs=-1, metavar="[ALERT...]")
@click.option("--all", "every", is_flag=True, help="Every rule, in parallel.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=MONITORING,
    show_default=True,
    help="The built directory.",
)
@servers
@click.option(
    "--accelerated/--unchanged",
    default=None,
    help="For rules whose `for` is over a minute: run the accelerated copy, or the "
    "rule itself. Default: accelerated with --all.",
)
@click.option(
    "--wake",
    default="",
    metavar="NAME",
    help="Page this contact for real, and wait for the acknowledgement.",
)
@click.option(
    "--within",
    default="15m",
    show_default=True,
    type=DURATION,
    help="How long --wake waits.",
)
@click.option(
    "--patience",
    default=1.0,
    show_default=True,
    help="Multiply the time limit of each stage by this.",
)
@click.option("--force", is_flag=True, help="Run even while a real P1 is firing.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout."
)
def drill(
    alerts: tuple[str, ...],
    directory: Path,
    prometheus: str,
    alertmanager: str,
    exporter: str,
    wake: str,
    within: float,
    patience: float,
    *,
    every: bool,
    accelerated: bool | None,
    force: bool,
    as_json: bool,
) -> None:
    """Test an alert, or every alert, end to end: fault, rule, route, page, resolved.

    The exporter serves faulty series under a separate job; the rule must fire on them
    and the page must arrive. Real metrics aren't touched and nobody is paged: each
    receiver that the real alert would reach gets a [DRILL] message (with --all, one
    message for all alerts). The monitor keeps the results and shows their age.

    An accelerated copy of a rule has the same expression and a shorter `for`; it fires
    for drills only.

    --wake pages a contact of local/contacts.yml as a P1 would, marked as a test, with a
    link to acknowledge. Only this proves that the person responds.

    \b
    Examples:
      watchroom drill HighErrorRate
      watchroom drill --all                  every rule, in two to three minutes
      watchroom drill --all --unchanged      every rule with its own `for`: slow
      watchroom drill --wake Ann             page Ann, wait for the acknowledgement
      watchroom drill HighErrorRate --url http://127.0.0.1:9090
      watchroom drill HighErrorRate HighLatency --json | jq .passed

    Tokens are read from WATCHROOM_TOKEN[_FILE], else from this machine's token files.

    Exit codes: 0 every stage succeeded, 1 a stage failed (it is named), 2 invalid
    input.
    """  # noqa: D301 - click's \b is a backspace
    if every + bool(wake) > 1 or (not wake and bool(alerts) == every):
        raise ConfigError(
            "give the names of alerts, or --all, or --wake NAME",
            hint="watchroom drill --all",
        )
    built = read_built(directory)
    names = _wanted(built, alerts, every=every)
    chain = chain_of(built, given(directory, prometheus, alertmanager, exporter))
    _refuse_in_earnest(chain, force=force)
    console = Console(highlight=False, stderr=as_json)
    _say_windows(console, built)
    if wake:
        woken = _wake(console, chain, built, wake, names, within, patience)
        passed, document = woken.passed, drill_screen.woken_document(woken)
    else:
        how = How(patience, every if accelerated is None else accelerated)
        passed, document = _drill(console, chain, built, how, names, every=every)
    if as_json:
        click.echo(json.dumps(document, indent=2))
    sys.exit(0 if passed else 1)


def _wanted(built: Built, alerts: Sequence[str], *, every: bool) -> list[str]:
    """Return the names of the drills to run.

    Raises:
        ConfigError: There is no drill of a name.
    """
    if every:
        return list(manifest_file.drills_by_name(built.manifest))
    for name in alerts:
        built.drill(name)
    return list(alerts)


def _drill(
    console: Console,
    chain: Chain,
    built: Built,
    how: How,
    names: Sequence[str],
    *,
    every: bool,
) -> tuple[bool, dict[str, object]]:
    begun = time.monotonic()
    run = _all if every else _each
    outcome = run(console, chain, built, how, names)
    took = time.monotonic() - begun
    where = _keep(console, chain, built, of_drills(built, outcome))
    if every:
        drill_screen.summary(console, outcome, took, where)
    return outcome.passed, drill_screen.document(outcome, took)


def read_built(directory: Path) -> Built:
    """Return what was built into a directory.

    Raises:
        ConfigError: Nothing was, or it is damaged.
    """
    manifest, config = directory / "watchroom.json", directory / "alertmanager.yml"
    hint = (
        "give the directory that `watchroom build` wrote, or build it: watchroom "
        f"build {directory}"
    )
    return Built(
        directory,
        manifest_file.load(text_of(manifest, hint), str(manifest)),
        alertmanager_file.load(text_of(config, hint), str(config)),
    )


def _refuse_in_earnest(chain: Chain, *, force: bool) -> None:
    if (real := real_pages(chain)) and not force:
        raise ConfigError(
            f"a real P1 is firing: {', '.join(real)}",
            hint="wait until it resolves, or use --force to drill now",
        )


def _say_windows(console: Console, built: Built) -> None:
    inputs = built.manifest.inputs
    if inputs.for_ or inputs.window:
        console.print(
            f"[dim]built with a short window ({inputs.window}) and `for` "
            f"({inputs.for_}): in production the times below are longer[/]"
        )


def _each(
    console: Console, chain: Chain, built: Built, how: How, alerts: Sequence[str]
) -> BatchOutcome:
    verdicts = []
    for alert in alerts:
        with drill_screen.One(console, chain.prometheus) as screen:
            run = DrillRun(
                chain, View(chain), built, alert, how, screen.reached, screen.waits
            )
            screen.announce(alert, run.ran)
            verdicts.append(run.run())
        screen.conclude(verdicts[-1])
    return BatchOutcome(verdicts, [])


def _all(
    console: Console, chain: Chain, built: Built, how: How, alerts: Sequence[str]
) -> BatchOutcome:
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
            field="--url",
        )
    who = person(built, name)
    with drill_screen.One(console, chain.prometheus) as screen:
        run = WakeRun(
            *(chain, built, alerts[0] if alerts else alert_for(built), who),
            *(patience, screen.reached, screen.waits),
        )
        console.print(f"paging {escape(who.name)} with a test alert", soft_wrap=True)
        screen.announce(run.alert, run.ran)
        woken = run.wake(seconds)
    drill_screen.woken(console, woken)
    told = of_answers(built, woken.verdict.told)
    _keep(console, chain, built, [woken.result(), *told])
    return woken


def _keep(
    console: Console, chain: Chain, built: Built, results: Sequence[Result]
) -> str:
    try:
        records = records_of(chain, built.manifest.name)
        records.note(results)
    except WatchroomError as error:
        console.print(
            f"[yellow]the results could not be saved[/]: {drill_screen.plain(error)}"
        )
        return ""
    return records.where
