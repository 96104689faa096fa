"""`watchroom check`: the launch checklist, verified against the live system."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.markup import escape

from watchroom.cli.commands.drill import read_built
from watchroom.cli.options import MONITORING, servers
from watchroom.cli.servers import chain_of, given, records_of
from watchroom.errors import WatchroomError
from watchroom.prove.checklist import run
from watchroom.prove.checklist.world import World
from watchroom.prove.records import FAILED, PASSED, UNVERIFIABLE

if TYPE_CHECKING:
    from watchroom.prove.checklist.run import Checked
    from watchroom.prove.records import Known, Records

_MARKS = {
    PASSED: ("green", "●", "verified"),
    FAILED: ("red", "▲", "to do"),
    UNVERIFIABLE: ("yellow", "○", "cannot be verified here"),
}


@click.command()
@click.argument(
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=MONITORING,
)
@servers
@click.option(
    "--grafana",
    default="",
    metavar="URL",
    help="Grafana's URL, to check its dashboards; the token is read from "
    "GRAFANA_TOKEN.",
)
@click.option(
    "--send",
    is_flag=True,
    help="Send a marked event to Sentry and a marked request to the app's logs.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document on stdout."
)
def check(
    directory: Path,
    prometheus: str,
    alertmanager: str,
    exporter: str,
    grafana: str,
    *,
    send: bool,
    as_json: bool,
) -> None:
    """Verify the launch checklist against the live system, with evidence.

    Each item is tested: URLs are requested, rules and dashboards are compared with what
    the servers have loaded, and drills and test messages count only while they are
    recent. An item that can't be verified from here never counts as done. DIRECTORY is
    what `watchroom build` wrote. The monitor keeps the result and shows it on
    /checklist.

    \b
    Examples:
      watchroom check
      watchroom check monitoring/ --send
      watchroom check --url http://127.0.0.1:9090 --grafana http://127.0.0.1:3000
      watchroom check --json | jq '.items[] | select(.state != "passed")'

    Exit codes: 0 all verified, 1 something to do, 2 invalid input, 3 nothing to do, but
    something can't be verified from here.
    """  # noqa: D301 - click's \b is a backspace
    console = Console(highlight=False, stderr=as_json)
    built = read_built(directory)
    said = given(directory, prometheus, alertmanager, exporter)
    chain = chain_of(built, said)
    records = records_of(chain, built.manifest.name)
    world = World(
        built=built,
        chain=chain,
        known=_known(console, records),
        now=time.time(),
        environ=os.environ,
        grafana=grafana.rstrip("/"),
        send=send,
        given=said._replace(grafana=grafana),
    )
    checked = []
    for one in run.check(world):
        checked.append(one)
        _show(console, one)
    _conclude(console, checked)
    _keep(console, records, checked, world.now)
    if as_json:
        click.echo(json.dumps(_document(checked, world.now), indent=2))
    sys.exit(run.exit_code(checked))


def _known(console: Console, records: Records) -> Known:
    try:
        return records.known()
    except WatchroomError as error:
        console.print(f"[yellow]earlier results can't be read[/]: {_text(error)}")
        return {}


def _keep(
    console: Console, records: Records, checked: list[Checked], now: float
) -> None:
    try:
        records.note(run.results(checked, now))
    except WatchroomError as error:
        console.print(f"[yellow]the result could not be saved[/]: {_text(error)}")
        return
    console.print(f"[dim]result saved: {_text(records.where)}[/]", soft_wrap=True)


def _show(console: Console, one: Checked) -> None:
    colour, mark, words = _MARKS[one.finding.state]
    console.print(
        f"[{colour}]{mark}[/] [bold]{escape(one.item.title)}[/]  [{colour}]{words}[/]",
        soft_wrap=True,
    )
    console.print(f"    {_text(one.finding.evidence)}", soft_wrap=True)
    if one.finding.next:
        console.print(f"    [dim]next:[/] {_text(one.finding.next)}", soft_wrap=True)


def _conclude(console: Console, checked: list[Checked]) -> None:
    counts = {
        state: sum(one.finding.state == state for one in checked) for state in _MARKS
    }
    console.print(
        f"[bold]{counts[PASSED]} of {len(checked)} verified[/], {counts[FAILED]} to "
        f"do, {counts[UNVERIFIABLE]} can't be verified from here"
    )


def _text(value: object) -> str:
    return escape(str(value))


def _document(checked: list[Checked], now: float) -> dict[str, object]:
    return {
        "at": now,
        "passed": run.exit_code(checked) == 0,
        "items": [
            {
                "id": one.item.id,
                "title": one.item.title,
                "state": one.finding.state,
                "evidence": one.finding.evidence,
                "next": one.finding.next,
            }
            for one in checked
        ],
    }
