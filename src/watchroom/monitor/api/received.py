"""What /api/v2 is given: filters, times, alerts from outside."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web

from watchroom.errors import ConfigError
from watchroom.formats.matchers import parse_one
from watchroom.formats.routes import compiled
from watchroom.monitor.alert import Alert
from watchroom.promql.model import labels_of

if TYPE_CHECKING:
    from watchroom.promql.model import Matcher

_MOST_LABELS = 64
_LONGEST_TEXT = 65_536


class AlertIn(msgspec.Struct):
    """An alert as the API takes it."""

    labels: dict[str, str]
    annotations: dict[str, str] = {}
    startsAt: str = ""  # noqa: N815 - the API's name
    endsAt: str = ""  # noqa: N815 - the API's name
    generatorURL: str = ""  # noqa: N815 - the API's name


def refused(status: int, why: str) -> web.Response:
    """Return a refusal: its reason as a JSON string, which is what amtool reads."""
    return web.json_response(why, status=status)


def epoch_ms(text: str) -> int:
    """Return an RFC 3339 time in milliseconds.

    Raises:
        ValueError: It is not one.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a time as RFC 3339 writes it") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return round(moment.astimezone(UTC).timestamp() * 1000)


def filters(request: web.Request) -> list[Matcher]:
    """Return the matchers of ``filter=name="value"``, as amtool sends them."""
    matchers: list[Matcher] = []
    for text in request.query.getall("filter", []):
        try:
            matchers.append(compiled(parse_one(text), "filter"))
        except ConfigError as error:
            raise web.HTTPBadRequest(
                text=json.dumps(f"bad matcher format: {error.what}"),
                content_type="application/json",
            ) from error
    return matchers


def alert_of(posted: AlertIn, now_ms: int, resolve_timeout_ms: int) -> Alert:
    """Return an alert as it was posted; without an end it lasts for the time-out.

    Raises:
        ValueError: It has no labels, ends before it starts, or is too large.
    """
    labels = labels_of(posted.labels)
    if not labels:
        raise ValueError("at least one label pair required")
    if len(labels) > _MOST_LABELS or len(posted.annotations) > _MOST_LABELS:
        raise ValueError(f"more than {_MOST_LABELS} labels or annotations")
    texts = (*posted.labels.values(), *posted.annotations.values(), posted.generatorURL)
    if sum(map(len, texts)) > _LONGEST_TEXT:
        raise ValueError(f"an alert of more than {_LONGEST_TEXT} characters")
    ends = _optional(posted.endsAt)
    starts = _optional(posted.startsAt)
    if starts is None:
        starts = now_ms if ends is None else ends
    timeout = ends is None
    if ends is None:
        ends = now_ms + resolve_timeout_ms
    if ends < starts:
        raise ValueError("start time must be before end time")
    return Alert(
        labels,
        labels_of(posted.annotations),
        starts,
        ends,
        now_ms,
        posted.generatorURL,
        timeout,
    )


def _optional(text: str) -> int | None:
    if not text or text.startswith("0001-01-01T00:00:00"):
        return None
    return epoch_ms(text)
