"""What `manage.py check` reports about health."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core import checks as django_checks

from watchroom.health import checks

if TYPE_CHECKING:
    from collections.abc import Iterator

_POSTGRESQL = ("postgresql", "postgis", "psqlextra")


def messages() -> Iterator[django_checks.CheckMessage]:
    """Yield what is wrong, or will be on a bad day."""
    for alias, database in django_settings.DATABASES.items():
        yield from _unbounded(alias, database)
    declared = checks.checks()
    for name, check in declared.items():
        if name.endswith(f".{checks.MODULE}") or name == checks.MODULE:
            yield _broken(name, check)
    for name, override in checks.settings().checks.items():
        if override.on and name not in declared:
            near = difflib.get_close_matches(name, declared, n=1)
            yield django_checks.Error(
                f"HEALTH.checks: there is no check {name!r}.",
                hint=f"Did you mean {near[0]!r}?"
                if near
                else f"Known checks: {', '.join(declared)}.",
                id="watchroom.E003",
            )


def _unbounded(
    alias: str, database: dict[str, Any]
) -> Iterator[django_checks.CheckMessage]:
    engine = str(database.get("ENGINE", ""))
    if engine.rpartition(".")[2] not in _POSTGRESQL:
        return
    options = database.get("OPTIONS") or {}
    if "connect_timeout" in options or "service" in options:
        return
    yield django_checks.Warning(
        (
            f"The database {alias!r} has no connect_timeout: if its server accepts a "
            "connection and never responds, every request waits forever."
        ),
        hint='Add "OPTIONS": {"connect_timeout": 5}.',
        id="watchroom.W003",
    )


def _broken(name: str, check: checks.Check) -> django_checks.CheckMessage:
    try:
        check.run(check.timeout)
    except Exception as error:  # noqa: BLE001 - what its import raised
        text = f"{type(error).__name__}: {error}"
    return django_checks.Error(
        f"{name} can't be imported, so its health checks are missing: {text}",
        hint="/health/ and /readyz answer 503 until this is repaired.",
        id="watchroom.E002",
    )
