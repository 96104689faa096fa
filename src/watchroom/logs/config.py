"""``LOGGING = watchroom.logging()``, for settings.py: a dict; imports nothing heavy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMAS = ("guide", "ecs")
FORMS = ("json", "text")
LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")
CONSOLE = "watchroom.logs.console.Console"


def logging(
    schema: str = "guide",
    *,
    level: str = "INFO",
    loggers: Mapping[str, str] | None = None,
    form: str | None = None,
) -> dict[str, Any]:
    """Return a LOGGING setting: every record one line on stdout.

    The project's own apps log from DEBUG on: those of INSTALLED_APPS that are not
    installed packages, found when Django configures logging.

    Args:
        schema: What fields are called: ``guide`` or ``ecs`` (Elastic Common Schema).
        level: Of the root logger, so of other people's packages.
        loggers: Levels by logger, where they differ.
        form: ``json`` or ``text``; by default text on a terminal, JSON elsewhere.

    Raises:
        ConfigError: An argument is none of these.

    Example:
        >>> LOGGING = watchroom.logging(loggers={"accounting": "INFO"})
    """
    _one_of("schema", schema, SCHEMAS)
    _one_of("level", level, LEVELS)
    if form is not None:
        _one_of("form", form, FORMS)
    console: dict[str, Any] = {"()": CONSOLE, "schema": schema}
    if form is not None:
        console["form"] = form
    to_console = {"handlers": ["console"], "propagate": False}
    configured: dict[str, dict[str, Any]] = {
        "django": {**to_console, "level": "INFO"},
        # One line per request covers these, without the query that they would log.
        "django.server": {**to_console, "level": "CRITICAL"},
        "uvicorn.access": {**to_console, "level": "CRITICAL"},
        "uvicorn": {**to_console, "level": "INFO"},
        "gunicorn.error": {**to_console, "level": "INFO"},
        "gunicorn.access": {**to_console, "level": "INFO"},
        # "Task received"; one line per task covers its outcome.
        "celery.worker.strategy": {"level": "WARNING"},
        "watchroom": {**to_console, "level": "INFO"},
    }
    for name, own_level in (loggers or {}).items():
        _one_of(f"loggers[{name!r}]", own_level, LEVELS)
        configured[name] = {**configured.get(name, {}), "level": own_level}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": console},
        "root": {"handlers": ["console"], "level": level},
        "loggers": configured,
    }


def _one_of(argument: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(
            f"{value!r} isn't one of {', '.join(known)}",
            field=f"watchroom.logging({argument})",
        )
