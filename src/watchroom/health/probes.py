"""What the standard checks do; each runs in a thread of its own and may take for ever.

They use connections of their own: what the app's pools and persistent connections hold
says nothing about the next one, and what they ask is counted as none of the app's.
"""

from __future__ import annotations

import math
import os
import secrets
import sys
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.core.cache.backends.base import BaseCache
    from django.db.backends.base.base import BaseDatabaseWrapper

KEY_SECONDS = 30
DUMMY = "dummy"
# libpq takes less than two seconds for two.
_SHORTEST_CONNECT = 2
_UNSENT_MILLISECONDS = 5000
# For a host that vanished after the last acknowledgement, or whose address another host
# took: the kernel's own patience is two hours.
_KEEPALIVE = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
}


class WrongAnswerError(Exception):
    """The database or cache answered something else than it was asked for."""


class UnappliedMigrationsError(Exception):
    """The database is older than the code."""


def database(alias: str, seconds: float) -> None:
    """Connect and fetch a row; of SQLite, which reads no file for that, the schema."""
    with _connection(alias, seconds) as connection:
        connection.ensure_connection()
        # The driver's own cursor: Django's would show it to every query counter.
        with closing(connection.connection.cursor()) as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("SELECT count(*) FROM sqlite_master")
                return
            cursor.execute(f"SELECT 1{connection.features.bare_select_suffix}")
            if cursor.fetchone()[0] != 1:
                raise WrongAnswerError


def migrations(seconds: float) -> None:
    """Compare the migrations of the code with those the default database has had."""
    from django.conf import settings
    from django.db import DEFAULT_DB_ALIAS
    from django.db.migrations.executor import MigrationExecutor

    if not settings.DATABASES.get(DEFAULT_DB_ALIAS, {}).get("ENGINE"):
        return
    with _connection(DEFAULT_DB_ALIAS, seconds) as connection:
        connection.ensure_connection()
        connection.execute_wrappers.clear()
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise UnappliedMigrationsError


def cache(alias: str, seconds: float) -> str | None:
    """Store a random value under a random key and read it again."""
    from django.core.cache.backends.dummy import DummyCache

    backend = _backend(alias, seconds)
    if isinstance(backend, DummyCache):
        return DUMMY
    key, value = f"watchroom-{secrets.token_hex(8)}", secrets.token_hex(8)
    try:
        backend.set(key, value, KEY_SECONDS)
        if backend.get(key) != value:
            raise WrongAnswerError
        backend.delete(key)
    finally:
        backend.close()
        if _is_redis(backend):  # its pools are this look's own
            for pool in getattr(
                getattr(backend, "_cache", None), "_pools", {}
            ).values():
                pool.disconnect()
    return None


def broker(seconds: float) -> None:
    """Open a channel to the broker of each Celery app."""
    for app in celery_apps():
        options = app.conf.broker_transport_options or {}
        url = app.conf.broker_write_url or app.conf.broker_url or ""
        if str(url).startswith(("redis", "sentinel")):
            options = {"socket_connect_timeout": seconds, "socket_timeout": seconds} | {
                **options
            }
        with app.connection_for_write(
            connect_timeout=seconds, transport_options=options
        ) as connection:
            connection.connect()
            connection.channel().close()


def celery_apps() -> list[Any]:
    """Return the Celery apps that this process has made, if it has imported Celery.

    Not `celery.current_app`: it belongs to the thread that made it, and in another it
    is an app made up on the spot.
    """
    state = sys.modules.get("celery._state")
    if state is None:
        return []
    made_up = state.default_app
    return [
        app
        for app in sorted(state._get_active_apps(), key=lambda app: app.main or "")  # noqa: SLF001 - there is no public list
        if not (app is made_up and app.main == "default")
    ]


@contextmanager
def _connection(alias: str, seconds: float) -> Iterator[BaseDatabaseWrapper]:
    """Yield an unopened connection of our own, with a time-out."""
    from django.db import connections

    connection = connections[alias].copy()
    options = connection.settings_dict["OPTIONS"]
    if connection.vendor == "postgresql":
        options.pop("pool", None)
        # A thread that waits for a server which never answers must end some day, or the
        # check could not see it come back.
        options["connect_timeout"] = max(_SHORTEST_CONNECT, math.ceil(seconds))
        unanswered = {"tcp_user_timeout": _UNSENT_MILLISECONDS, **_KEEPALIVE}
        for name, value in unanswered.items():
            options.setdefault(name, value)
    elif connection.vendor == "sqlite":
        _never_creating(connection)
    try:
        yield connection
    finally:
        with suppress(Exception):  # the check's own error is more useful
            connection.close()


def _never_creating(connection: BaseDatabaseWrapper) -> None:
    """Have SQLite miss a file that is gone instead of making an empty one."""
    name = os.fspath(connection.settings_dict["NAME"] or "")
    plain = name and not name.startswith((":memory:", "file:"))
    if plain and connection.get_connection_params().get("uri"):
        connection.settings_dict["NAME"] = f"file:{quote(name)}?mode=rw"


def _backend(alias: str, seconds: float) -> BaseCache:
    """Return a back end of our own, whose reads are not counted."""
    from django.core.cache import CacheHandler, caches

    backend = CacheHandler.create_connection(caches, alias)
    if _is_redis(backend):
        options = getattr(backend, "_options", None)
        if isinstance(options, dict):
            limits = {"socket_connect_timeout": seconds, "socket_timeout": seconds}
            backend._options = {**limits, **options}  # type: ignore[attr-defined]  # Django's RedisCache  # noqa: SLF001
    return backend


def _is_redis(backend: BaseCache) -> bool:
    """Return whether it is Django's own RedisCache, without importing it."""
    return any(parent.__name__ == "RedisCache" for parent in type(backend).__mro__)
