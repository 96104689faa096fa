"""How late each entry of a Celery schedule is.

What an entry owes is told by its own schedule, interval or crontab; what it did by the
notes of beat and workers. An entry counts as run when a worker began what beat
published: with either dead it becomes overdue. One that never ran owes its first run
since the exporter first saw it, and it sees again when its schedule changes.
"""

from __future__ import annotations

import time
from contextlib import suppress
from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.formats import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Standing(NamedTuple):
    """Where an entry stands.

    Attributes:
        overdue: Seconds since it should have run, 0 when it is on time.
        last_run: When its last run that a worker began was published, or None.
        last_published: When beat last published it, or None.
    """

    overdue: float
    last_run: float | None
    last_published: float | None


class Schedule:
    """Watches the entries of one app.

    Args:
        app: A Celery app, its tasks loaded.
        entries: By name, as in ``beat_schedule``.
        notes: Where beat and workers note their runs.
        now: Epoch seconds.
    """

    def __init__(
        self,
        app: Any,
        entries: Mapping[str, Any],
        notes: Path,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._notes = notes
        self._now = now
        self._awaited: dict[str, runs.Run] = {}
        self._newest: dict[tuple[str, str], runs.Run] = {}
        self._schedules = {
            name: self._schedule(app, entry)
            for name, entry in list(entries.items())[: runs.MOST_ENTRIES]
        }

    def look(self) -> dict[str, Standing]:
        """Return the entries' standings by name."""
        return {name: self._stand(name) for name in self._schedules}

    def _stand(self, name: str) -> Standing:
        schedule = self._schedules[name]
        begun = self._noted(runs.BEGUN, name)
        published = self._noted(runs.PUBLISHED, name)
        since = self._waits_since(name, repr(schedule))
        last = max(since, begun.at if begun else 0.0)
        left = schedule.remaining_estimate(datetime.fromtimestamp(last, UTC))
        return Standing(
            max(0.0, -left.total_seconds()),
            begun.at if begun else None,
            published.at if published else None,
        )

    def _noted(self, kind: str, name: str) -> runs.Run | None:
        """Return the newest note seen: their directory may have been removed since."""
        read, known = runs.read(self._notes, kind, name), self._newest.get((kind, name))
        if read is not None and (known is None or read.at > known.at):
            known = self._newest[kind, name] = read
        return known

    def _schedule(self, app: Any, entry: Any) -> Any:
        from celery.schedules import maybe_schedule

        given = entry["schedule"] if isinstance(entry, dict) else entry.schedule
        relative = bool(entry.get("relative")) if isinstance(entry, dict) else False
        # A copy, whose clock is ours; it forgets whose time zone it is in.
        made = copy(maybe_schedule(given, relative, app=app))
        made.app = app
        if made.nowfun is None:
            made.nowfun = lambda: datetime.fromtimestamp(self._now(), UTC)
        return made

    def _waits_since(self, name: str, schedule: str) -> float:
        """Return since when this entry is awaited under this very schedule."""
        known = self._awaited.get(name) or runs.read(self._notes, runs.AWAITED, name)
        if known is None or known.schedule != schedule:
            known = runs.Run(name, self._now(), schedule)
            with suppress(OSError, ValueError):  # then it is kept in memory
                runs.note(self._notes, runs.AWAITED, known)
        self._awaited[name] = known
        return known.at
