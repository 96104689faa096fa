"""A connection of the exporter's own to one of the project's databases, to read.

Django's own back end opens it, so that whatever OPTIONS say holds here too, but for the
time that it may take; it is closed after each question.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from watchroom.exporter.machine.places import sqlite_file

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_SECONDS = 2  # libpq takes no less
STATEMENT_SECONDS = 1
# Left to the back end alone: a pool would keep what is opened here, and what is run at
# each connection, or makes each transaction one that writes, may need to write.
_NOT_OURS = ("pool", "init_command", "transaction_mode")
# By vendor: what bounds the reading, inside of its transaction.
_BOUNDS = {
    "postgresql": (
        "SET TRANSACTION READ ONLY",
        f"SET LOCAL statement_timeout = {STATEMENT_SECONDS * 1000}",
    ),
}


def wrapper(alias: str) -> Any:
    """Return a connection, not yet opened, that gives up soon."""
    from django.db import connections
    from django.db.utils import load_backend

    settings = copy.deepcopy(connections.settings[alias])
    options = settings["OPTIONS"]
    for name in _NOT_OURS:
        options.pop(name, None)
    engine = str(settings["ENGINE"]).lower()
    if "postg" in engine:
        options["connect_timeout"] = CONNECT_SECONDS
        # A network that swallows packets is noticed by the kernel, not by the server.
        options.setdefault("tcp_user_timeout", CONNECT_SECONDS * 1000)
        options["application_name"] = "watchroom exporter"
    elif "mysql" in engine:
        options["connect_timeout"] = CONNECT_SECONDS
        options.setdefault("read_timeout", CONNECT_SECONDS)
        options["init_command"] = "SET SESSION TRANSACTION READ ONLY"
    elif (file := sqlite_file(settings["NAME"])) is not None:
        settings["NAME"] = f"{file.as_uri()}?mode=ro"  # nor made where it is missing
        options["timeout"] = STATEMENT_SECONDS
    settings.update(CONN_MAX_AGE=0, AUTOCOMMIT=True)
    return load_backend(settings["ENGINE"]).DatabaseWrapper(settings, alias)


@contextmanager
def reading(alias: str) -> Iterator[None]:
    """Have Django's models ask over a connection of their own, in one read.

    Raises:
        django.db.Error: The database can't be reached, or not in time.
    """
    from django.db import connections, transaction

    project = connections[alias]
    connections[alias] = own = wrapper(alias)
    try:
        with transaction.atomic(using=alias):
            with own.cursor() as cursor:
                for statement in _BOUNDS.get(own.vendor, ()):
                    cursor.execute(statement)
            yield
    finally:
        connections[alias] = project
        own.close()
