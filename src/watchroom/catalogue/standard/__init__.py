"""The vitals that every Django app has, one module per subsystem."""

from __future__ import annotations

from watchroom.catalogue.standard import (
    cache,
    celery,
    celery_queues,
    celery_schedule,
    database,
    http,
    watch,
)

VITALS = (
    *http.VITALS,
    *database.VITALS,
    *cache.VITALS,
    *celery.TABLE,
    *celery_queues.VITALS,
    *celery.VITALS,
    *celery_schedule.VITALS,
    *watch.VITALS,
)
