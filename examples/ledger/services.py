"""The PostgreSQL and Redis that DATABASE_URL and REDIS_URL name, looked at first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 5
_MARK = "watchroom-demo"
_OURS = "billing_invoice"  # a table of the sample app's
_TABLES = (
    "SELECT tablename FROM pg_tables WHERE schemaname = ANY (current_schemas(false))"
)


def claim(environ: Mapping[str, str] = os.environ) -> str:
    """Return what the demo runs on, without a secret; empty the Redis of the last one.

    Raises ConfigError where a server cannot be used or holds something else.
    """
    used = []
    for variable, scheme, name, look in (
        ("DATABASE_URL", "postgres", "PostgreSQL", _postgresql),
        ("REDIS_URL", "", "Redis", _redis),
    ):
        url = environ.get(variable, "")
        if not url or not url.startswith(scheme):
            continue
        parts = urlsplit(url)
        place = f"{name} at {parts.netloc.rpartition('@')[2]}{parts.path}"
        try:
            theirs = look(url)
        except ModuleNotFoundError:
            raise
        except Exception as error:  # noqa: BLE001 - each driver has a class of its own
            raise ConfigError(
                f"{place} cannot be used: {str(error).strip().splitlines()[0]}",
                field=variable,
                hint="start it, or unset the variable: then the demo uses files",
            ) from None
        if theirs:
            raise ConfigError(
                f"{place} holds something else: {theirs}",
                field=variable,
                hint="give the demo one of its own: another name or number at its end",
            )
        used.append(place)
    return "; ".join(used)


def _postgresql(url: str) -> str:
    import psycopg

    with psycopg.connect(url, connect_timeout=_SECONDS) as connection:
        tables = [str(name) for (name,) in connection.execute(_TABLES)]
    return "" if _OURS in tables else ", ".join(tables[:3])


def _redis(url: str) -> str:
    import redis

    limits = {"socket_connect_timeout": _SECONDS, "socket_timeout": _SECONDS}
    with redis.Redis.from_url(url, **limits) as client:
        keys = client.dbsize()
        if keys and not client.exists(_MARK):
            return f"{keys} keys"
        # Tasks that the last demo left would meet another database.
        client.flushdb()
        client.set(_MARK, "1")
    return ""
