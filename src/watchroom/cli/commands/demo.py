"""`watchroom demo`: hands over to the demo of the checkout that it runs from."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from watchroom.errors import ConfigError


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def demo(options: tuple[str, ...]) -> None:
    """Run the demo of the checkout that watchroom is installed from.

    This command goes away in 0.2: run `.venv/bin/python examples/demo`, which takes the
    same OPTIONS and has help on them.

    \b
    Examples:
      watchroom demo

    Exit codes: those of the demo, or 2 if there is no checkout.
    """  # noqa: D301 - click's \b is a backspace
    place = Path(__file__).parents[4] / "examples" / "demo"
    if not place.is_dir():
        raise ConfigError(
            "the demo and its sample app are not in the installed package",
            hint="run it from a checkout of the repository: make demo",
        )
    click.echo(
        "watchroom demo goes away in 0.2; use .venv/bin/python examples/demo", err=True
    )
    os.execv(sys.executable, [sys.executable, str(place), *options])  # noqa: S606 - no shell
