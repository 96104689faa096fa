"""Which subsystems a project has: each that it has is asked in a child of its own.

All of them are shared: their answer is a server's or the project's, the same whichever
host asks.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from watchroom.exporter.machine.places import sqlite_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


POSTGRESQL, SQLITE = "postgresql", "sqlite"


class CollectorGroup(NamedTuple):
    """A subsystem that is asked in a child.

    Attributes:
        name: A part of the exporter, and its module in this package.
        applies: Whether the project has it, told from Django's settings alone.
    """

    name: str
    applies: Callable[[object], bool]

    @property
    def module(self) -> str:
        """Where its collectors are."""
        return f"watchroom.exporter.collect.{self.name}"


def _always(settings: object) -> bool:
    # Only a set-up project knows its vitals.py; without gauges the child ends.
    del settings
    return True


def _celery(settings: object) -> bool:
    # Settings tell it under whatever names the app reads: the child finds the app.
    del settings
    return find_spec("celery") is not None


def databases(settings: object) -> Iterator[tuple[str, str]]:
    """Yield alias and kind of the databases that can be asked from outside.

    By the name of the back end, since many wrap Django's; a SQLite database in memory
    is its process' own.
    """
    configured = getattr(settings, "DATABASES", None)
    for alias, options in (configured if isinstance(configured, dict) else {}).items():
        engine = str(options.get("ENGINE", "")).lower()
        if "postg" in engine:
            yield alias, POSTGRESQL
        elif ("sqlite" in engine or "spatialite" in engine) and sqlite_file(
            options.get("NAME")
        ):
            yield alias, SQLITE


GROUPS = (
    CollectorGroup("project", applies=_always),
    CollectorGroup("celery", applies=_celery),
    CollectorGroup("database", applies=lambda settings: any(databases(settings))),
)


def configured(settings: object) -> Iterator[CollectorGroup]:
    """Yield the groups that a project with these Django settings has."""
    for group in GROUPS:
        if group.applies(settings):
            yield group
