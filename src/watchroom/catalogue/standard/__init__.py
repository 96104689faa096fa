"""The vitals that every Django app has, one module per subsystem."""

from __future__ import annotations

from watchroom.catalogue.standard import cache, celery, database, http, watch

VITALS = (
    *http.VITALS,
    *database.VITALS,
    *cache.VITALS,
    *celery.TABLE,
    *celery.VITALS,
    *watch.VITALS,
)
