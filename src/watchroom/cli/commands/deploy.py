"""`watchroom deploy VERSION`: mark a deployment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from watchroom.cli.ask import Monitor, say
from watchroom.cli.options import where

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("version")
@click.option(
    "--by",
    metavar="NAME",
    default=lambda: os.environ.get("USER", ""),
    help="Who or what deploys. [$USER]",
)
@where
def deploy(
    *, version: str, by: str, directory: Path | None, url: str | None, as_json: bool
) -> None:
    """Mark a deployment in charts, on the first page and in incidents.

    The monitor marks a release by itself when the app's processes report a new one.
    This command marks it earlier and records who deployed. Using both gives one mark.

    \b
    Examples:
      watchroom deploy 2026.11.24-3
      watchroom deploy "$GIT_SHA" --by CI --url https://watch.example.org

    Exit codes: 0 marked, 1 refused, 2 the monitor can't be reached.
    """  # noqa: D301 - click reads \b as the control character
    done = Monitor(directory, url).post("/deploys", version=version, by=by)
    say(done, f"marked: {done['version']} by {done['by']}", as_json=as_json)
