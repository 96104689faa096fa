"""`watchroom reload [DIR]`: make a running monitor read its files again."""

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
    """Make a running monitor read its files again.

    DIRECTORY is what `watchroom build` wrote: it says which monitor of this machine.

    \b
    Examples:
      watchroom reload
      watchroom reload monitoring/
      watchroom reload --url https://watch.example.org

    Exit codes: 0 reloaded, 1 refused (the old files stay in force; the answer names
    file and line), 2 nobody answers.
    """  # noqa: D301 - click reads \b as the control character
    where, name = url_of(directory, url)
    answer = ask(where, "/-/reload", name=name, data={})
    if not answer.ok:
        click.echo(f"watchroom: {refusal(where, answer)}", err=True)
        sys.exit(1)
    click.echo(answer.body.strip())
