"""`watchroom drill`: inject a fault and time the page, stage by stage."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from watchroom.cli.options import DURATION, MONITORING, servers
from watchroom.errors import ConfigError


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
    help="For rules whose `for` is longer than a minute: run the accelerated copy, "
    "or the rule itself. Default: accelerated with --all.",
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
    _refuse_unclear(alerts, wake, every=every)
    from watchroom.cli import drills
    from watchroom.cli.servers import chain_of, given, read_built

    built = read_built(directory)
    names = drills.wanted(built, alerts, every=every)
    chain = chain_of(built, given(directory, prometheus, alertmanager, exporter))
    drills.refuse_in_earnest(chain, force=force)
    asked = drills.Drills(chain, built, as_json=as_json)
    if wake:
        ended = asked.wake(wake, names, within, patience)
    else:
        fast = every if accelerated is None else accelerated
        ended = asked.run(names, patience, accelerated=fast, every=every)
    if as_json:
        click.echo(json.dumps(ended.document, indent=2))
    sys.exit(0 if ended.passed else 1)


def _refuse_unclear(alerts: tuple[str, ...], wake: str, *, every: bool) -> None:
    if every + bool(wake) > 1 or (not wake and bool(alerts) == every):
        raise ConfigError(
            "give the names of alerts, or --all, or --wake NAME",
            hint="watchroom drill --all",
        )
