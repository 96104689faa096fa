"""The PostgreSQL and Redis that DATABASE_URL and REDIS_URL name, looked at first."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 5
_MARK = "watchroom-demo"
_OURS = "billing_invoice"  # a table of the sample app's


def claim(environ: Mapping[str, str] = os.environ) -> str:
    """Take the services for a demo: refuse what is in use, and empty its own Redis.

    Returns:
        What the demo runs on, in words without a secret.

    Raises:
        ConfigError: A URL cannot be read, nothing answers there, what reads it is not
            installed, or it holds something that is not the demo's.
    """
    database, redis = environ.get("DATABASE_URL", ""), environ.get("REDIS_URL", "")
    used = []
    if database.startswith(("postgres:", "postgresql:")):
        _claim_postgresql(database)
        used.append(f"PostgreSQL at {_place('DATABASE_URL', database)}")
    if redis:
        _claim_redis(redis)
        used.append(f"Redis at {_place('REDIS_URL', redis)}, cache and queue")
    return "; ".join(used)


def _claim_postgresql(url: str) -> None:
    place = _place("DATABASE_URL", url)
    try:
        import psycopg
    except ImportError:
        raise _lacking("DATABASE_URL", "psycopg", "psycopg[binary]") from None
    try:
        with contextlib.closing(
            psycopg.connect(url, connect_timeout=_SECONDS)
        ) as connection:
            rows = connection.execute(
                "SELECT tablename FROM pg_tables"
                " WHERE schemaname = ANY (current_schemas(false)) ORDER BY 1"
            ).fetchall()
    except psycopg.Error as error:
        said = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"PostgreSQL at {place} cannot be used: {said}",
            field="DATABASE_URL",
            hint="start it and create the database, or unset the variable: then the "
            "demo uses SQLite",
        ) from None
    tables = [str(name) for (name,) in rows]
    if tables and _OURS not in tables:
        raise ConfigError(
            f"the database at {place} holds something else: {', '.join(tables[:3])}",
            field="DATABASE_URL",
            hint="give the demo a database of its own: createdb ledger",
        )


def _claim_redis(url: str) -> None:
    place = _place("REDIS_URL", url)
    try:
        import redis
    except ImportError:
        raise _lacking("REDIS_URL", "redis", "redis") from None
    try:
        with contextlib.closing(
            redis.Redis.from_url(
                url, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS
            )
        ) as client:
            keys, ours = client.dbsize(), client.exists(_MARK)
            if not keys or ours:
                # Tasks that the last demo left would meet another database.
                client.flushdb()
                client.set(_MARK, "1")
    except (redis.RedisError, ValueError) as error:
        said = str(error).strip().partition("\n")[0]
        raise ConfigError(
            f"Redis at {place} cannot be used: {said}",
            field="REDIS_URL",
            hint="start it, or unset the variable: then the demo uses files",
        ) from None
    if keys and not ours:
        raise ConfigError(
            f"the Redis database at {place} holds {keys} keys of something else",
            field="REDIS_URL",
            hint="give the demo one of its own: the number at the URL's end, as in /9",
        )


def _place(variable: str, url: str) -> str:
    """Return host, port and path of a URL: what is no secret."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        raise ConfigError("not a URL", field=variable) from None
    return f"{parts.hostname or 'its socket'}{port}{parts.path}"


def _lacking(variable: str, module: str, package: str) -> ConfigError:
    return ConfigError(
        f"the module {module!r} is not installed",
        field=variable,
        hint=f"`make demo` installs it when the variable is set, or: "
        f"pip install '{package}'",
    )
