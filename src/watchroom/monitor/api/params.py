"""Request parameters as Prometheus reads them: times, durations, selectors."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from multidict import MultiDict

from watchroom.errors import ConfigError, WatchroomError
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from aiohttp import web
    from multidict import MultiMapping

_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_WHOLE = re.compile(r"\+?[0-9]{1,18}")
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"
    r"(?:Z|[-+][0-9]{2}:[0-9]{2})"
)
_LONGEST = (2**63 - 1) / 1e9  # what Go's durations hold, in seconds
_FAR = 9_000_000_000.0  # the year 2255, in seconds; beyond, arithmetic goes wrong

# What Prometheus' own clients send for "all of it".
_EDGES = {
    "-292273086-05-16T16:47:06Z": -_FAR,
    "292277025-08-18T07:12:54.999999999Z": _FAR,
}


class BadDataError(WatchroomError):
    """A parameter is missing or does not parse: HTTP 400, bad_data."""


async def read(request: web.Request) -> MultiMapping[str]:
    """Return the parameters: the form's fields on POST, then those of the address."""
    if request.method != "POST":
        return request.query
    form = await request.post()
    merged: MultiDict[str] = MultiDict()
    for name, value in form.items():
        if not isinstance(value, str):
            raise BadDataError(f'invalid parameter "{name}": a file is not a value')
        merged.add(name, value)
    merged.extend(request.query)
    return merged


def _instant(text: str) -> float | None:
    """Return epoch seconds of a number or an RFC 3339 time; None: it is neither."""
    if _FLOAT.fullmatch(text):
        return float(text) if abs(float(text)) < _LONGEST else None
    if text in _EDGES:
        return _EDGES[text]
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


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
    seconds = _instant(text)
    if seconds is None:
        raise BadDataError(
            f'invalid parameter "{name}": {text!r} is not a time: give seconds since '
            "1970, or RFC 3339 with a zone"
        )
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
    if _FLOAT.fullmatch(text):
        seconds = float(text)
    else:
        try:
            seconds = parse_duration(text)
        except ConfigError as error:
            raise BadDataError(f'invalid parameter "{name}": {error.what}') from error
    if abs(seconds) > _LONGEST:
        raise BadDataError(f'invalid parameter "{name}": {text!r} is too long')
    return seconds


def whole(params: MultiMapping[str], name: str) -> int:
    """Return a number of things, 0 when it is not given: no limit.

    Raises:
        BadDataError: It is not a whole number, or below zero.
    """
    text = params.get(name, "")
    if not text:
        return 0
    if not _WHOLE.fullmatch(text):
        raise BadDataError(
            f'invalid parameter "{name}": {text!r} is not a whole number of 0 or more'
        )
    return int(text)
