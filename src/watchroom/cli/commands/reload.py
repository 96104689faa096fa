"""`watchroom reload [DIR]`: reload the configuration of a running monitor."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from watchroom.cli.ask import ask, refusal, url_of
from watchroom.cli.options import monitor

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@monitor
def reload(directory: Path | None, url: str | None) -> None:
    """Reload the configuration of a running monitor.

    DIRECTORY is what `watchroom build` wrote; it selects which local monitor to use.

    \b
    Examples:
      watchroom reload
      watchroom reload monitoring/
      watchroom reload --url https://watch.example.org

    Exit codes: 0 reloaded, 1 refused (the old configuration remains active; the error
    names file and line), 2 the monitor can't be reached.
    """  # noqa: D301 - click reads \b as the control character
    where, name = url_of(directory, url)
    answer = ask(where, "/-/reload", name=name, data={})
    if not answer.ok:
        click.echo(f"watchroom: {refusal(where, answer)}", err=True)
        sys.exit(1)
    click.echo(answer.body.strip())
