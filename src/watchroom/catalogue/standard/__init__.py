"""The vitals that every Django app has, one module per subsystem."""

from __future__ import annotations

from watchroom.catalogue.standard import (
    budget,
    cache,
    celery,
    celery_queues,
    celery_schedule,
    certificate,
    database,
    database_server,
    delivery,
    disk,
    health,
    http,
    memory,
    outage,
    watch,
)

# The nine rows of the guide's table, in its order.
TABLE = (
    *http.VITALS,
    *database.VITALS,
    *database_server.TABLE,
    *cache.VITALS,
    *celery.TABLE,
    *memory.VITALS,
    *disk.VITALS,
    *certificate.VITALS,
)
VITALS = (
    *TABLE,
    *database_server.VITALS,
    *celery_queues.VITALS,
    *celery.VITALS,
    *celery_schedule.VITALS,
    *health.VITALS,
    *watch.VITALS,
    *delivery.VITALS,
    # Last, so that the tiles that there were keep their places.
    *outage.VITALS,
    *budget.VITALS,
)
