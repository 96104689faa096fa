"""Request parameters as Prometheus reads them: times, durations, selectors."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from multidict import MultiDict

from watchroom.errors import ConfigError, WatchroomError
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from aiohttp import web
    from multidict import MultiMapping

_FAR = 9_000_000_000.0  # the year 2255, in seconds; beyond, arithmetic goes wrong


class BadDataError(WatchroomError):
    """A parameter is missing or does not parse: HTTP 400, bad_data."""


async def read(request: web.Request) -> MultiMapping[str]:
    """Return the query parameters, with the form's fields on POST."""
    if request.method != "POST":
        return request.query
    form = await request.post()
    merged = MultiDict(request.query)
    for name, value in form.items():
        if not isinstance(value, str):
            raise BadDataError(f'invalid parameter "{name}": a file is not a value')
        merged.add(name, value)
    return merged


def time_ms(params: MultiMapping[str], name: str, default: float | None) -> int:
    """Return a time parameter in milliseconds: epoch seconds or RFC 3339.

    Raises:
        BadDataError: It is missing without a default, or neither.
    """
    text = params.get(name, "")
    if not text:
        if default is None:
            raise BadDataError(f'invalid parameter "{name}": it is required')
        return round(default * 1000)
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise BadDataError(
                f'invalid parameter "{name}": {text!r} is not a time'
            ) from error
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp()
    if not math.isfinite(seconds):
        raise BadDataError(f'invalid parameter "{name}": {text!r} is not a time')
    return round(max(-_FAR, min(_FAR, seconds)) * 1000)


def duration(params: MultiMapping[str], name: str, default: float | None) -> float:
    """Return a duration parameter in seconds: a float or ``5m``.

    Raises:
        BadDataError: It is missing without a default, or neither.
    """
    text = params.get(name, "")
    if not text:
        if default is None:
            raise BadDataError(f'invalid parameter "{name}": it is required')
        return default
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parse_duration(text)
        except ConfigError as error:
            raise BadDataError(f'invalid parameter "{name}": {error.what}') from error
    if not math.isfinite(seconds):
        raise BadDataError(f'invalid parameter "{name}": {text!r} is not a duration')
    return seconds
