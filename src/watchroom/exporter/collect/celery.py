"""Celery as its broker and its schedule show it; no worker is asked."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from watchroom import conf
from watchroom.catalogue import collected
from watchroom.exporter.collect import Collector, celery_app, celery_beat_table
from watchroom.exporter.collect.celery_queues import Broker, configured
from watchroom.exporter.collect.celery_schedule import Schedule
from watchroom.runtime import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

EVERY_SECONDS = 5.0
LIMIT_SECONDS = 4.0


log = logging.getLogger("watchroom.exporter")


def collectors(broken: Callable[[str, str], None]) -> Sequence[Collector]:
    """Set Django up, find the Celery app, and return its collectors.

    Raises:
        Exception: Whatever the project's set-up raises.
    """
    import django

    django.setup()
    app = celery_app.find(os.environ.get("DJANGO_SETTINGS_MODULE", ""))
    if app is None or app.conf.task_always_eager:
        return ()
    try:
        celery_app.load_tasks(app)
    except Exception as error:  # noqa: BLE001 - the project's own code
        broken("a task module", f"can't be imported: {type(error).__name__}: {error}")
    settings = conf.settings()
    result = []
    entries, table = celery_app.schedule(app), None
    try:
        if (model := celery_beat_table.model(app)) is not None:
            table = celery_beat_table.BeatTable(model)
    except Exception as error:  # noqa: BLE001 - the project's own code
        broken(
            "beat's scheduler", f"can't be imported: {type(error).__name__}: {error}"
        )
    reason = celery_app.unseen(app)
    if reason:
        log.warning("queues can't be monitored: %s", reason)
    else:
        queues = configured(app, settings.queues)
        more = (lambda: table.queues) if table is not None else tuple
        result.append(_broker(Broker(app, queues, more=more)))
    if entries or table is not None:
        notes = runs.directory(conf.runtime_dir(settings), settings.name)
        read = table.read if table is not None else None
        result.append(_schedule(Schedule(app, entries, notes, table=read)))
    return result


def _broker(broker: Broker) -> Collector:
    def ask() -> Mapping[str, Any]:
        waiting = broker.ask()
        if waiting is None:
            return {collected.BROKER_UP.name: 0}
        return {
            collected.BROKER_UP.name: 1,
            collected.QUEUE_LENGTH.name: {q: w.length for q, w in waiting.items()},
            collected.QUEUE_OLDEST.name: {
                q: w.oldest for q, w in waiting.items() if w.oldest is not None
            },
        }

    return Collector(
        "celery_broker",
        EVERY_SECONDS,
        collected.CELERY,
        ask,
        LIMIT_SECONDS,
        # One that takes the connection and never answers is as good as none.
        hung={collected.BROKER_UP.name: 0},
    )


def _schedule(schedule: Schedule) -> Collector:
    def ask() -> Mapping[str, Any]:
        states = schedule.entry_states()
        return {
            collected.BEAT_OVERDUE.name: {n: s.overdue for n, s in states.items()},
            collected.BEAT_LAST_RUN.name: {
                n: s.last_run for n, s in states.items() if s.last_run is not None
            },
            collected.BEAT_LAST_PUBLISHED.name: {
                n: s.last_published
                for n, s in states.items()
                if s.last_published is not None
            },
            collected.BEAT_ENTRIES.name: len(states),
            collected.BEAT_UNWATCHED.name: schedule.unwatched,
        }

    return Collector(
        "celery_schedule", EVERY_SECONDS, collected.BEAT, ask, LIMIT_SECONDS
    )
