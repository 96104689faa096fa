"""Options and arguments that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from watchroom.errors import ConfigError
from watchroom.units import parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

    Type = click.ParamType[float]
    Command = Callable[..., Any]
else:
    Type = click.ParamType  # generic for type checkers alone in older versions


MONITORING = Path("monitoring")


def servers(command: Command) -> Command:
    """Give a command the options that say which servers a proof asks."""
    prometheus = click.option(
        "--url",
        "--prometheus",
        "prometheus",
        default="",
        metavar="URL",
        help="The monitor's or Prometheus' URL. Default: the local monitor.",
    )
    alertmanager = click.option(
        "--alertmanager",
        default="",
        metavar="URL",
        help="Alertmanager's URL. Default: ask Prometheus.",
    )
    exporter = click.option(
        "--exporter",
        default="",
        metavar="URL",
        help="The exporter's URL. Default: as built.",
    )
    return prometheus(alertmanager(exporter(command)))


def one_monitor(command: Command) -> Command:
    """Give a command DIRECTORY and --url: which monitor it speaks to."""
    directory = click.argument(
        "directory", required=False, type=click.Path(path_type=Path, file_okay=False)
    )
    url = click.option(
        "--url",
        metavar="URL",
        help="The monitor's URL. Default: the local monitor of DIRECTORY, else "
        "http://127.0.0.1:9700.",
    )
    return directory(url(command))


class _Parsed(Type):
    def __init__(self, name: str, parse: Callable[[str], float]) -> None:
        self.name = name
        self._parse = parse

    def convert(
        self,
        value: str | float,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


DURATION = _Parsed("duration", parse_duration)
SIZE = _Parsed("size", parse_size)


def name_of(text: str) -> Callable[[Command], Command]:
    """Give a command --as; `text` is its help."""
    return click.option(
        "--as",
        "who",
        metavar="NAME",
        default=lambda: os.environ.get("USER", ""),
        help=text,
    )


def where(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say which monitor it asks."""
    built = click.option(
        "--dir",
        "directory",
        metavar="DIRECTORY",
        help="Built directory; selects which local monitor to use.",
        type=click.Path(path_type=Path, file_okay=False),
    )
    url = click.option(
        "--url", metavar="URL", help="The monitor's URL. [the local monitor, port 9700]"
    )
    as_json = click.option(
        "--json", "as_json", is_flag=True, help="Print the raw response."
    )
    return built(url(as_json(command)))
