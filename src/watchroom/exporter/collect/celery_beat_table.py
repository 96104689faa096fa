"""The schedule that django-celery-beat keeps in a database, read and never written."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from watchroom.exporter.collect.celery_schedule import Rows, ScheduleEntry
from watchroom.exporter.collect.connection import reading
from watchroom.runtime import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

APP = "django_celery_beat"
_SCHEDULES = ("interval", "crontab", "solar", "clocked")
_OWN = "celery."


class BeatTable:
    """Reads the entries of one model.

    Args:
        model: ``PeriodicTask``, or what a scheduler of the project's has in its place.
        now: Epoch seconds.

    Attributes:
        queues: Those that the entries of the last read are published to by name.
    """

    def __init__(self, model: Any, now: Callable[[], float] = time.time) -> None:
        self._model = model
        self._now = now
        self.queues: tuple[str, ...] = ()

    def read(self, names: Collection[str]) -> Rows:
        """Return the entries.

        Args:
            names: Which names to look for besides.

        Raises:
            django.db.Error: The database can't be reached, or has no such table.
        """
        from django.db import router

        alias = router.db_for_read(self._model)
        every = self._model._default_manager.using(alias)  # noqa: SLF001 - Django's name for it
        with reading(alias):
            enabled = every.filter(enabled=True).exclude(name__startswith=_OWN)
            # One more than are watched, to know that there are more; then how many.
            rows = list(
                enabled.select_related(*_SCHEDULES).order_by("pk")[
                    : runs.MOST_ENTRIES + 1
                ]
            )
            excess = 0
            if len(rows) > runs.MOST_ENTRIES:
                excess = enabled.count() - runs.MOST_ENTRIES
            named = every.filter(name__in=list(names)).values_list("name", flat=True)
            existing = frozenset(named[: runs.MOST_ENTRIES])
        self.queues = tuple(dict.fromkeys(row.queue for row in rows if row.queue))
        entries, unreadable = {}, {}
        for row in rows[: runs.MOST_ENTRIES]:
            try:
                if self._owes(row):
                    entries[str(row.name)] = _entry(row)
            except Exception as error:  # noqa: BLE001 - one row, and whatever it names
                unreadable[str(row.name)] = error
        return Rows(entries, existing, unreadable, excess)

    def _owes(self, row: Any) -> bool:
        """Return whether beat would still publish it; it disables the others itself."""
        expired = row.expires is not None and _seconds(row.expires) <= self._now()
        return not expired and not (row.one_off and row.total_run_count > 0)


def model(app: Any) -> Any:
    """Return the model of the schedule, or None when beat keeps it in a file.

    Which scheduler beat's command line names, no other process can see. So where the
    app's configuration names none, the installed package decides.

    Raises:
        Exception: Whatever the import of the scheduler raises.
    """
    from celery.utils.imports import load_extension_class_names, symbol_by_name
    from django.apps import apps

    if not apps.is_installed(APP):
        return None
    scheduler = app.conf.beat_scheduler
    if scheduler and scheduler != "celery.beat:PersistentScheduler":
        aliases = dict(load_extension_class_names("celery.beat_schedulers"))
        return getattr(symbol_by_name(scheduler, aliases=aliases), "Model", None)
    return apps.get_model(APP, "PeriodicTask")


def _entry(row: Any) -> ScheduleEntry:
    schedule = row.schedule
    if schedule is None:  # as older versions of the package have it
        raise ValueError("the row has no schedule")
    starts = None if row.start_time is None else _seconds(row.start_time)
    return ScheduleEntry(
        schedule,
        waits_under=f"{' '.join(repr(schedule).split())} from {starts}",
        starts=starts,
        published=row.last_run_at is not None,
        once=bool(row.one_off),
    )


def _seconds(at: datetime) -> float:
    """Return epoch seconds; without USE_TZ a time is in the project's zone."""
    from django.utils import timezone

    return (timezone.make_aware(at) if timezone.is_naive(at) else at).timestamp()
