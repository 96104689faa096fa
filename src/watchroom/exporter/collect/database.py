"""Whether each database answers, and how many of its connections are taken.

Asked over a connection of its own, opened and closed each time: one that is kept would
count against the limit it watches, and would not notice that new ones are refused.
See `watchroom.exporter.collect.connection`.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
import time
import warnings
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.catalogue.collected import DB_CONNECTIONS, DB_CONNECTIONS_LIMIT, DB_UP
from watchroom.conf import redaction
from watchroom.exporter.collect import Collector
from watchroom.exporter.collect import connection as reading
from watchroom.exporter.collect.connection import STATEMENT_SECONDS
from watchroom.exporter.collect.groups import POSTGRESQL, databases
from watchroom.exporter.machine.places import sqlite_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

EVERY_SECONDS = 5.0
LIMIT_SECONDS = 5.0
_TOO_MANY = "53300"  # too_many_connections
_FULL = re.compile("too many (clients|connections)|remaining connection slots")
_SAID_FOR = 3600.0
# Sessions of clients: other back ends have places of their own. Who may not see what
# others do sees their sessions all the same, with an empty type.
_SESSIONS = """
WITH sessions AS (
  SELECT datid, usesysid FROM pg_stat_activity
  WHERE datid IS NOT NULL AND usesysid IS NOT NULL AND pid <> pg_backend_pid()
    AND coalesce(backend_type, 'client backend') = 'client backend'
)
SELECT
  (SELECT count(*) FROM sessions),
  current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true)::int, 0),
  (SELECT count(*) FROM sessions WHERE datid = d.oid), d.datconnlimit,
  (SELECT count(*) FROM sessions WHERE usesysid = r.oid), r.rolconnlimit
FROM pg_database d, pg_roles r
WHERE d.datname = current_database() AND r.rolname = session_user
"""


class ConnectionCount(NamedTuple):
    """Connections in use, and the limit that they count against."""

    used: int
    limit: int


def collectors(broken: Callable[[str, str], None]) -> Sequence[Collector]:
    """Return one question per database, so that each has a time limit of its own."""
    del broken
    from django.conf import settings

    # Nothing here needs the project's apps, and they are left out on purpose.
    warnings.filterwarnings("ignore", "Accessing the database during app init")
    reasons = Reasons()
    return [
        _collector(alias, kind, settings.DATABASES[alias], reasons)
        for alias, kind in databases(settings)
    ]


def _collector(
    alias: str, kind: str, configured: Mapping[str, Any], reasons: Reasons
) -> Collector:
    server = kind == POSTGRESQL
    ask = PostgreSQL(alias, reasons).ask if server else None
    return Collector(
        name=f"database {alias}",
        every_seconds=EVERY_SECONDS,
        metrics=(DB_UP, DB_CONNECTIONS, DB_CONNECTIONS_LIMIT) if server else (DB_UP,),
        function=ask or SQLite(alias, configured, reasons).ask,
        limit_seconds=LIMIT_SECONDS,
        hung={DB_UP.name: {alias: 0}},
    )


class Reasons:
    """Logs why a database is down: when the reason changes, and once an hour."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[str, float]] = {}

    def say(self, alias: str, error: Exception) -> None:
        """Log one line, unless the same is the last one logged."""
        text = " ".join(redaction.clean(str(error)).split())[:300]
        before, at = self._last.get(alias, ("", 0.0))
        now = time.monotonic()
        if text != before or now - at > _SAID_FOR:
            self._last[alias] = text, now
            sys.stderr.write(f"database {alias}: {type(error).__name__}: {text}\n")

    def forget(self, alias: str) -> None:
        """Note that it is up."""
        self._last.pop(alias, None)


class SQLite:
    """One SQLite file: it has no connections that could run out."""

    def __init__(
        self, alias: str, configured: Mapping[str, Any], reasons: Reasons
    ) -> None:
        self._alias = alias
        self._file = sqlite_file(configured.get("NAME")) or Path()
        self._reasons = reasons

    def ask(self) -> dict[str, Any]:
        """Return whether the file can be read; it is neither made nor written.

        Raises:
            sqlite3.Error: It cannot, and that may be for want of permission.
        """
        uri = f"{self._file.as_uri()}?mode=ro"
        try:
            opened = sqlite3.connect(uri, uri=True, timeout=STATEMENT_SECONDS)
            with closing(opened):
                opened.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error as error:
            # A write-ahead log needs a writable directory, even to be read.
            writable = os.access(self._file.parent, os.W_OK)
            if self._file.exists() and not (
                writable and os.access(self._file, os.R_OK)
            ):
                raise
            self._reasons.say(self._alias, error)
            return {DB_UP.name: {self._alias: 0}}
        self._reasons.forget(self._alias)
        return {DB_UP.name: {self._alias: 1}}


class PostgreSQL:
    """One PostgreSQL database."""

    def __init__(self, alias: str, reasons: Reasons) -> None:
        self._alias = alias
        self._reasons = reasons
        self._limit: int | None = None

    def ask(self) -> dict[str, Any]:
        """Return whether it takes a connection, and how many others it has."""
        try:
            connections = self._count()
        except Exception as error:  # noqa: BLE001 - any driver's own classes
            self._reasons.say(self._alias, error)
            if _sqlstate(error) != _TOO_MANY:
                return {DB_UP.name: {self._alias: 0}}
            # It lives: it answered that all connections are used.
            if self._limit is None:
                return {DB_UP.name: {self._alias: 1}}
            connections = ConnectionCount(self._limit, self._limit)
        else:
            self._reasons.forget(self._alias)
        self._limit = connections.limit
        return {
            DB_UP.name: {self._alias: 1},
            DB_CONNECTIONS.name: {self._alias: connections.used},
            DB_CONNECTIONS_LIMIT.name: {self._alias: connections.limit},
        }

    def _count(self) -> ConnectionCount:
        connection = reading.wrapper(self._alias)
        try:
            with connection.cursor() as cursor:
                # Local to a transaction: behind a pooler the session is another's next.
                cursor.execute("BEGIN")
                timeout = int(STATEMENT_SECONDS * 1000)
                cursor.execute(f"SET LOCAL statement_timeout = {timeout}")
                cursor.execute(_SESSIONS)
                row = cursor.fetchone()
                cursor.execute("ROLLBACK")
        finally:
            connection.close()
        return nearest(row)


def nearest(row: Sequence[int]) -> ConnectionCount:
    """Return the use and limit that are nearest to each other.

    Args:
        row: Sessions and limit of the server, of the database, and of the role; below 0
            there is no limit.
    """
    pairs = [ConnectionCount(*row[at : at + 2]) for at in (0, 2, 4)]
    limited = [pair for pair in pairs if pair.limit > 0]
    return max(limited, key=lambda pair: pair.used / pair.limit)


def _sqlstate(error: BaseException | None) -> str:
    """Return the server's code, of psycopg or psycopg2 below Django's exception."""
    while error is not None:
        code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        if code:
            return str(code)
        if _FULL.search(str(error)):  # refused before a result could carry a code
            return _TOO_MANY
        error = error.__cause__
    return ""
