"""`watchroom check`: the launch checklist, verified against the live system."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import click

from watchroom.cli.options import MONITORING, servers


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
    from watchroom.cli.check_screen import Screen
    from watchroom.cli.servers import chain_of, given, read_built, records_of
    from watchroom.prove.checklist import run
    from watchroom.prove.checklist.world import World

    built = read_built(directory)
    options = given(directory, prometheus, alertmanager, exporter)
    chain = chain_of(built, options)
    records = records_of(chain, built.manifest.name)
    screen = Screen(as_json=as_json)
    world = World(
        built=built,
        chain=chain,
        known=screen.known(records),
        now=time.time(),
        environ=os.environ,
        grafana=grafana.rstrip("/"),
        send=send,
        given=options._replace(grafana=grafana),
    )
    checked = []
    for result in run.check(world):
        checked.append(result)
        screen.show(result)
    screen.conclude(checked)
    screen.keep(records, checked, world.now)
    if as_json:
        click.echo(json.dumps(run.document(checked, world.now), indent=2))
    sys.exit(run.exit_code(checked))
