"""How late each entry of a Celery schedule is.

What an entry owes follows from its own schedule: an interval, a crontab, the sun, or a
time. What it did follows from the notes of beat and workers: an entry counts as run
when a worker began what beat published, so that with either dead it becomes overdue. An
entry that never ran owes its first run since the exporter first saw it, and begins anew
when its schedule changes, or when it comes back.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.conf import redaction
from watchroom.runtime import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

log = logging.getLogger("watchroom.exporter")

# What the entries of a table wait under; their own schedule follows.
_TABLE = "table "
# An entry that was in the table, and was disabled or removed there.
_GONE = f"{_TABLE}-"
_PRUNE_SECONDS = 60.0


class ScheduleEntry(NamedTuple):
    """One entry of a schedule, from wherever it comes.

    Attributes:
        schedule: Celery's own object.
        waits_under: What makes it another entry to a caller that waits for it: a text.
        starts: Epoch seconds before which it owes nothing, or None.
        published: Whether beat has ever published it, as it says itself.
        once: Whether one run is all that it owes.
    """

    schedule: Any
    waits_under: str
    starts: float | None = None
    published: bool = False
    once: bool = False


class Rows(NamedTuple):
    """What the table holds.

    Attributes:
        entries: Those that owe runs, by name.
        known: Which of the names that were asked for are there, also disabled.
        unreadable: Why the schedule of an entry cannot be read, by its name.
        excess: How many more entries there are than were read.
    """

    entries: Mapping[str, ScheduleEntry]
    known: frozenset[str]
    unreadable: Mapping[str, Exception]
    excess: int


class EntryState(NamedTuple):
    """How an entry does.

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
        table: Where beat keeps its schedule in a database, what reads it, and says
            which of some names it knows. Its entries count then; those of the app that
            beat has not written there yet count too.

    Attributes:
        unwatched: How many entries the last look left out: too many, or not readable.
    """

    def __init__(
        self,
        app: Any,
        entries: Mapping[str, Any],
        notes: Path,
        now: Callable[[], float] = time.time,
        table: Callable[[Collection[str]], Rows] | None = None,
    ) -> None:
        self._app = app
        self._notes = notes
        self._now = now
        self._table = table
        self._awaited: dict[str, runs.Run] = {}
        self._newest: dict[tuple[str, str], runs.Run] = {}
        self._logged: set[str] = set()
        self._looked = False
        self._pruned = 0.0
        self._configured = {
            name: self._entry(entry)
            for name, entry in list(entries.items())[: runs.MOST_ENTRIES]
        }
        self._excess = max(0, len(entries) - runs.MOST_ENTRIES)
        self.unwatched = self._excess

    def entry_states(self) -> dict[str, EntryState]:
        """Return how the entries do, by name.

        Raises:
            Exception: The schedule's database can't be reached.
        """
        entries = self._entries()
        self._forget(entries)
        states = {}
        for name, entry in entries.items():
            try:
                states[name] = self._entry_state(name, entry)
            except Exception as error:  # noqa: BLE001 - a day that never comes, say
                self._leave_out(name, error)
        self._looked = True
        return states

    def _leave_out(self, name: str, error: Exception) -> None:
        self.unwatched += 1
        text = redaction.clean(f"{name}: {type(error).__name__}: {error}")[:300]
        if text not in self._logged and len(self._logged) < runs.MOST_ENTRIES:
            self._logged.add(text)
            log.warning("a schedule entry can't be monitored: %s", text)

    def _entries(self) -> Mapping[str, ScheduleEntry]:
        self.unwatched = self._excess
        if self._table is None:
            return self._configured
        table = self._table(self._configured)
        unknown = {
            name: entry
            for name, entry in self._configured.items()
            # Beat writes them all when it starts: an entry that has disappeared was
            # removed on purpose.
            if name not in table.known and not self._was_in_the_table(name)
        }
        from_table = {
            name: entry._replace(
                schedule=self._with_own_clock(entry.schedule, with_our_clock=True),
                waits_under=f"{_TABLE}{entry.waits_under}",
            )
            for name, entry in table.entries.items()
        }
        every = [*from_table.items(), *unknown.items()]
        watched = dict(every[: runs.MOST_ENTRIES])
        self.unwatched += table.excess + len(every) - len(watched)
        for name, error in table.unreadable.items():
            self._leave_out(name, error)
        return watched

    def _forget(self, entries: Mapping[str, ScheduleEntry]) -> None:
        """Wait no more for what has been disabled or removed since the last look."""
        for name in self._awaited.keys() - entries.keys():
            if name in self._configured:
                self._wait(name, _GONE)
                continue
            del self._awaited[name]
            for kind in (runs.BEGUN, runs.PUBLISHED):
                self._newest.pop((kind, name), None)
            runs.forget(self._notes, name)
        if self._table is not None and self._now() - self._pruned > _PRUNE_SECONDS:
            self._pruned = self._now()
            runs.prune(self._notes, entries)

    def _was_in_the_table(self, name: str) -> bool:
        known = self._awaited.get(name) or runs.read(self._notes, runs.AWAITED, name)
        return known is not None and known.schedule.startswith(_TABLE)

    def _entry_state(self, name: str, entry: ScheduleEntry) -> EntryState:
        begun = self._noted(runs.BEGUN, name)
        published = self._noted(runs.PUBLISHED, name)
        since = self._waits_since(name, entry.waits_under)
        return EntryState(
            self._overdue(entry, since, begun.at if begun else None),
            begun.at if begun else None,
            published.at if published else None,
        )

    def _overdue(
        self, entry: ScheduleEntry, since: float, begun: float | None
    ) -> float:
        now = self._now()
        starts = entry.starts or 0.0
        owed = max(since, starts)
        if owed > now or (entry.once and begun is not None and begun >= since):
            return 0.0
        if starts and not entry.published and (begun is None or begun < starts):
            return now - owed  # the first run is due when it starts
        # In the zone of the schedule, which tells by it what day it is.
        last = datetime.fromtimestamp(max(since, begun or 0.0), entry.schedule.tz)
        left = float(entry.schedule.remaining_estimate(last).total_seconds())
        return max(0.0, min(-left, now - owed))

    def _noted(self, kind: str, name: str) -> runs.Run | None:
        """Return the newest note seen: their directory may have been removed since."""
        read, known = runs.read(self._notes, kind, name), self._newest.get((kind, name))
        if read is not None and (known is None or read.at > known.at):
            known = self._newest[kind, name] = read
        return known

    def _entry(self, entry: Any) -> ScheduleEntry:
        from celery.schedules import maybe_schedule

        schedule = entry["schedule"] if isinstance(entry, dict) else entry.schedule
        relative = bool(entry.get("relative")) if isinstance(entry, dict) else False
        own_schedule = self._with_own_clock(
            maybe_schedule(schedule, relative, app=self._app)
        )
        return ScheduleEntry(own_schedule, repr(own_schedule))

    def _with_own_clock(self, schedule: Any, *, with_our_clock: bool = False) -> Any:
        # A copy, whose clock is ours; it forgets whose time zone it is in.
        copied = copy(schedule)
        copied.app = self._app
        if with_our_clock or copied.nowfun is None:
            copied.nowfun = lambda: datetime.fromtimestamp(self._now(), UTC)
        return copied

    def _waits_since(self, name: str, under: str) -> float:
        known = self._awaited.get(name)
        if known is None and not (self._looked and under.startswith(_TABLE)):
            known = runs.read(self._notes, runs.AWAITED, name)
        if known is None or known.schedule != under:
            known = self._wait(name, under)
        self._awaited[name] = known
        return known.at

    def _wait(self, name: str, under: str) -> runs.Run:
        known = self._awaited.get(name)
        if known is None or known.schedule != under:
            known = self._awaited[name] = runs.Run(name, self._now(), under)
            with suppress(OSError, ValueError):  # then it is kept in memory
                runs.note(self._notes, runs.AWAITED, known)
        return known
