"""Switches the instruments on when Django starts."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core import checks

from watchroom import conf
from watchroom.errors import ConfigError
from watchroom.registry.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Sequence

MIDDLEWARE = "watchroom.Middleware"
_PATHS = frozenset({MIDDLEWARE, "watchroom.middleware.Middleware"})


class WatchroomConfig(AppConfig):
    """The app ``watchroom``: no models, no migrations."""

    name = "watchroom"
    verbose_name = "watchroom"

    def ready(self) -> None:
        """Install the instruments whose subsystem the settings name."""
        introduce_errors()
        if not conf.enabled(os.environ):
            keep_logging()
            return
        checks.register(check_settings, "watchroom")
        checks.register(check_middleware, "watchroom")
        checks.register(check_health, "watchroom")
        install()


@guarded("context")
def introduce_errors() -> None:
    """Have the errors that are sent name whose they are."""
    tracking = sys.modules.get("watchroom.tracking")
    if tracking is not None:
        tracking.introduce()


@guarded("registry")
def install() -> None:
    """Install every instrument that the settings call for."""
    from watchroom.instrument import cache, celery

    if django_settings.DATABASES:
        from watchroom.instrument import database

        database.install()
    cache.install()
    celery.install()
    if "watchroom.logs.console" in sys.modules or "watchroom.tracking" in sys.modules:
        from watchroom.logs import tasks

        tasks.install()


@guarded("logs")
def keep_logging() -> None:
    """Keep the logs without secrets in a worker too when all else is off."""
    if "watchroom.logs.console" in sys.modules:
        from watchroom.logs import tasks

        tasks.keep_logging()


def check_settings(
    app_configs: Sequence[AppConfig] | None, **_: Any
) -> list[checks.CheckMessage]:
    """Report what is wrong with WATCHROOM; the instruments run on the defaults."""
    del app_configs
    try:
        conf.settings()
    except ConfigError as error:
        where = f"{error.field}: " if error.field else ""
        return [
            checks.Error(f"{where}{error.what}.", hint=error.hint, id="watchroom.E001")
        ]
    return []


def check_middleware(
    app_configs: Sequence[AppConfig] | None, **_: Any
) -> list[checks.CheckMessage]:
    """Report a middleware that is missing, or not outermost."""
    del app_configs
    places = [
        at for at, path in enumerate(django_settings.MIDDLEWARE) if path in _PATHS
    ]
    if not places:
        return [
            checks.Warning(
                "Requests are not counted: the middleware is missing.",
                hint=f'Put "{MIDDLEWARE}" first in MIDDLEWARE.',
                id="watchroom.W001",
            )
        ]
    if places[0] != 0:
        return [
            checks.Warning(
                "Responses of middleware placed before watchroom's are not counted.",
                hint=f'Put "{MIDDLEWARE}" first in MIDDLEWARE.',
                id="watchroom.W002",
            )
        ]
    return []


def check_health(
    app_configs: Sequence[AppConfig] | None, **_: Any
) -> list[checks.CheckMessage]:
    """Report what the health checks cannot do, and what can hang."""
    del app_configs
    from watchroom.health import system

    return list(system.messages())
