"""A project's own gauges, as its vitals.py files declare them."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from watchroom.catalogue.metrics import Metric
from watchroom.conf import modules, redaction
from watchroom.exporter.collect import LIMIT_SECONDS, Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from watchroom.registry.declared import Gauge


def collectors(broken: Callable[[str, str], None]) -> Sequence[Collector]:
    """Set Django up, import vitals.py of every app and beside the settings.

    Raises:
        Exception: Whatever the project's set-up raises.
    """
    import django

    django.setup()
    for module in modules.named("vitals", os.environ.get("DJANGO_SETTINGS_MODULE", "")):
        try:
            import_module(module)
        except Exception as error:  # noqa: BLE001 - the project's own code
            broken(module, f"can't be imported: {type(error).__name__}: {error}")
    from watchroom.registry import declared

    return [_collector(gauge) for gauge in declared.gauges()]


def _collector(gauge: Gauge) -> Collector:
    def ask() -> Mapping[str, Any]:
        try:
            return {gauge.name: gauge.function()}
        finally:
            _close_connections()

    metric = Metric(gauge.name, "gauge", gauge.help, gauge.labels)
    every = gauge.every_seconds
    return Collector(gauge.name, every, (metric,), ask, min(LIMIT_SECONDS, every))


def _close_connections() -> None:
    # A connection held between two calls is one the database counts for nothing.
    from django.db import connections

    try:
        connections.close_all()
    except Exception as error:  # noqa: BLE001 - a database that is down
        text = redaction.clean(f"{type(error).__name__}: {error}")
        sys.stderr.write(f"closing connections: {text}\n")
