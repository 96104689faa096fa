"""Options and arguments that several commands share."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from watchroom.cli.ask import token_for, url_of
from watchroom.cli.token import exporter_token
from watchroom.errors import ConfigError
from watchroom.prove.chain import find_chain
from watchroom.prove.checklist.world import PLACES, Given

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.prove.chain import Chain
    from watchroom.prove.drills.drill import Built

    Command = Callable[..., Any]

MONITORING = Path("monitoring")
# As commands call it; --prometheus still holds.
_OPTIONS = {"prometheus": "--url"}


def servers(command: Command) -> Command:
    """Give a command the options that say which servers a proof asks."""
    prometheus = click.option(
        "--url",
        "--prometheus",
        "prometheus",
        default="",
        metavar="URL",
        help="The monitor, or Prometheus. Default: the monitor on this machine.",
    )
    alertmanager = click.option(
        "--alertmanager", default="", metavar="URL", help="Default: ask Prometheus."
    )
    exporter = click.option(
        "--exporter", default="", metavar="URL", help="Default: as built."
    )
    return prometheus(alertmanager(exporter(command)))


def monitor(command: Command) -> Command:
    """Give a command DIRECTORY and --url: which monitor it speaks to."""
    directory = click.argument(
        "directory", required=False, type=click.Path(path_type=Path, file_okay=False)
    )
    url = click.option(
        "--url",
        metavar="URL",
        help="The monitor. Default: the one on this machine, http://127.0.0.1:9700 "
        "unless that of DIRECTORY listens elsewhere.",
    )
    return directory(url(command))


def given(directory: Path, prometheus: str, alertmanager: str, exporter: str) -> Given:
    """Return what a command was told; the default directory need not be repeated."""
    said = "" if directory == MONITORING else str(directory)
    return Given(
        said,
        prometheus,
        alertmanager,
        exporter,
        program=_program(),
        environment=tuple(
            (name, os.environ[name]) for name in PLACES if os.environ.get(name)
        ),
    )


def _program() -> tuple[str, ...]:
    """Return how a shell that knows nothing of this one's paths starts watchroom."""
    if shutil.which("watchroom"):
        return ("watchroom",)
    beside = Path(sys.executable).parent / "watchroom"
    if beside.is_file():
        return (str(beside),)
    return (sys.executable, "-m", "watchroom")


def chain_of(built: Built, said: Given) -> Chain:
    """Return the servers that a proof of a build asks.

    Raises:
        ConfigError: The monitor does not answer, a URL is none, or a token cannot be
            read.
    """
    for option in ("prometheus", "alertmanager", "exporter"):
        url = getattr(said, option)
        parts = urlsplit(url)
        if url and not (parts.scheme in {"http", "https"} and parts.hostname):
            raise ConfigError(
                f"{url!r} is not an HTTP URL",
                field=_OPTIONS.get(option, f"--{option}"),
                hint="write http://HOST:PORT",
            )
    name = built.manifest.name
    prometheus, _ = url_of(built.directory, said.prometheus or None)
    return find_chain(
        prometheus,
        said.alertmanager,
        said.exporter or built.manifest.exporter,
        exporter_token(name, os.environ),
        token_for(prometheus, name) or "",
    )
