"""Who may see more of a check than a word."""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING

from watchroom import conf
from watchroom.errors import ConfigError
from watchroom.runtime import token

if TYPE_CHECKING:
    from django.http import HttpRequest


def may_see_details(request: HttpRequest) -> bool:
    """Return whether a request carries the exporter's token.

    The client's address does not count: behind a proxy every client is local.
    """
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credentials.strip():
        return False
    expected = _token()
    if not expected:
        return False
    return hmac.compare_digest(
        credentials.strip().encode("utf-8", "replace"), expected.encode()
    )


def _token() -> str:
    try:
        if configured := token.from_environment(os.environ):
            return configured
        directory = conf.runtime_dir(conf.settings())
        return token.read_private(directory / token.NAME)
    except (OSError, ConfigError):
        return ""
