"""A receiver's reply, quoted without the secrets of its configuration."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

_SHORTEST_PART = 4
"""Shorter parts of an address are words (``v1``), and would tear up what was said."""


def origin(url: str) -> str:
    """Return scheme, host and port of a URL: a webhook's path and query are secrets.

    Raises:
        ValueError: It does not parse.
    """
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme or '?'}://{parts.hostname or '?'}{port}"


def secrets_of(url: str) -> tuple[str, ...]:
    """Return what of a webhook's address is secret: all behind its host, and parts.

    Peers quote it in their own ways: ``Cannot POST /hooks/…``, unquoted, as HTML.
    """
    target = "/" + url.partition("://")[2].partition("/")[2]
    parts = [url, target, *target.replace("?", "/").replace("&", "/").split("/")]
    parts += [value for part in parts if (value := part.partition("=")[2])]
    parts += [unquote(part) for part in parts]
    parts += [html.escape(part) for part in parts]
    return tuple({part for part in parts if len(part) >= _SHORTEST_PART})


def scrubbed(text: str, secrets: Iterable[str], limit: int = 300) -> str:
    """Return a receiver's reply in one short line, without our secrets."""
    # The longest first: a part would break the whole, and leave the rest of it.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "…")
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
