"""`watchroom reload [DIR]`: reload the configuration of a running monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from watchroom.cli.ask import Monitor
from watchroom.cli.options import one_monitor

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@one_monitor
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
    monitor = Monitor(directory, url)
    answer = monitor.raw("/-/reload", data={})
    if not answer.ok:
        monitor.refused(answer)
    click.echo(answer.body.strip())
