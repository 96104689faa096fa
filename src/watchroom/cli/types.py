"""What options take: text that is read where click can name the option."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from watchroom.errors import ConfigError
from watchroom.units import parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Callable

    Type = click.ParamType[float]
else:
    Type = click.ParamType  # generic for type checkers alone in older versions


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
