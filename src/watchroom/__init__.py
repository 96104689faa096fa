"""Production monitoring for Django: define once, generate the rest, prove it."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = [
    "Alert",
    "Chart",
    "ChecklistItem",
    "Drill",
    "Middleware",
    "Panel",
    "Query",
    "Record",
    "Runbook",
    "Top",
    "Vital",
    "counter",
    "gauge",
    "health_check",
    "job",
    "logging",
    "sentry",
]

if TYPE_CHECKING:
    from watchroom.catalogue.model import Alert as Alert
    from watchroom.catalogue.model import Chart as Chart
    from watchroom.catalogue.model import ChecklistItem as ChecklistItem
    from watchroom.catalogue.model import Drill as Drill
    from watchroom.catalogue.model import Panel as Panel
    from watchroom.catalogue.model import Query as Query
    from watchroom.catalogue.model import Record as Record
    from watchroom.catalogue.model import Runbook as Runbook
    from watchroom.catalogue.model import Top as Top
    from watchroom.catalogue.model import Vital as Vital
    from watchroom.health.checks import health_check as health_check
    from watchroom.logs.config import logging as logging
    from watchroom.middleware import Middleware as Middleware
    from watchroom.registry.declared import counter as counter
    from watchroom.registry.declared import gauge as gauge
    from watchroom.registry.roles import job as job
    from watchroom.tracking import sentry as sentry

    __version__: str
else:
    # Lazy: with eager imports here the monitor would hold Django, and the user's web
    # process the catalogue, while every import contract still passed.
    _HOMES = {
        **dict.fromkeys(
            (
                "Alert",
                "Chart",
                "ChecklistItem",
                "Drill",
                "Panel",
                "Query",
                "Record",
                "Runbook",
                "Top",
                "Vital",
            ),
            "watchroom.catalogue.model",
        ),
        "Middleware": "watchroom.middleware",
        "counter": "watchroom.registry.declared",
        "gauge": "watchroom.registry.declared",
        "health_check": "watchroom.health.checks",
        "job": "watchroom.registry.roles",
        "logging": "watchroom.logs.config",
        "sentry": "watchroom.tracking",
    }

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            return version("watchroom")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_HOMES[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, "__version__"})
