"""The vitals that every Django app has, one module per subsystem."""

from __future__ import annotations

from watchroom.catalogue.standard import (
    cache,
    certificate,
    database,
    database_server,
    delivery,
    disk,
    health,
    memory,
    watch,
)
from watchroom.catalogue.standard.celery import queues, schedule, tasks
from watchroom.catalogue.standard.http import budget, outage
from watchroom.catalogue.standard.http import vitals as http

# The nine rows of the guide's table, in its order.
TABLE = (
    *http.VITALS,
    *database.VITALS,
    *database_server.TABLE,
    *cache.VITALS,
    *tasks.TABLE,
    *memory.VITALS,
    *disk.VITALS,
    *certificate.VITALS,
)
VITALS = (
    *TABLE,
    *database_server.VITALS,
    *queues.VITALS,
    *tasks.VITALS,
    *schedule.VITALS,
    *health.VITALS,
    *watch.VITALS,
    *delivery.VITALS,
    # Last, so that the tiles that there were keep their places.
    *outage.VITALS,
    *budget.VITALS,
)
