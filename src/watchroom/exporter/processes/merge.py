"""The sum over processes: live files, dead ones folded into totals, as text."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from watchroom.catalogue.metrics import (
    COUNTER_RESETS,
    HTTP_IN_FLIGHT,
    INSTRUMENT_ERRORS,
    METRICS,
    PROCESSES,
    RELEASE_INFO,
    SENTRY_PROCESSES,
)
from watchroom.exporter.machine.workload import LiveProcess
from watchroom.exporter.processes.fleet import Fleet
from watchroom.exporter.processes.origins import Origins
from watchroom.exporter.processes.table import Column, Page, Table, page
from watchroom.exporter.processes.totals import REQUESTS, SeriesOfMetric, group
from watchroom.formats.exposition import header, label_text, number
from watchroom.runtime.reader import sane
from watchroom.runtime.slots import pid_namespace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROLES = ("web", "worker")
INSTRUMENTS = (
    *("cache", "celery", "counter", "database"),
    *("exporter", "http", "registry"),
)


class Merger:
    """Reads what the processes of one deployment left in its runtime directory.

    Threads may share one. Several, also in several processes, may read one directory.

    Args:
        runtime_dir: As `watchroom.conf.runtime_dir` finds it; need not exist.
        name: Whose files to read; see `watchroom.runtime.directory.deployment`.
        now: Epoch seconds.
        code_directory: Where this process imports the project; empty: not compared.
    """

    def __init__(
        self,
        runtime_dir: Path,
        name: str,
        now: Callable[[], float] = time.time,
        code_directory: str = "",
    ) -> None:
        self._now = now
        self._fleet = Fleet(runtime_dir, name, now)
        self._origins = Origins(code_directory, now())
        self._lock = threading.Lock()
        self._namespace = pid_namespace()
        self._table = Table()
        self._columns: dict[str, Column] = {}
        self._dead = Column(self._table)
        self._dead_slots: tuple[float, ...] = ()
        self._dead_version = -1
        self._page: Page | None = None
        self._page_for: object = None
        # Series that an alert needs exist before the first process does.
        self._table.offset((REQUESTS, ("GET", "unresolved", "500")), 1)
        under_way = SeriesOfMetric(
            HTTP_IN_FLIGHT.name, "inflight", ("method", "route"), ()
        )
        self._table.offset((under_way, ("GET", "unresolved")), 1)
        self._errors = SeriesOfMetric(
            INSTRUMENT_ERRORS.name, "counter", INSTRUMENT_ERRORS.labels, ()
        )
        for instrument in INSTRUMENTS:
            self._table.offset((self._errors, (instrument,)), 1)

    def render(self) -> str:
        """Return the exposition text of all metrics of the project's processes."""
        with self._lock:
            self._scan()
            row = self._added()
            current = self._current_page()
            text = current.fill(row)
            resets = self._fleet.folded.resets + len(current.ignored)
            return text + self._own(resets)

    def processes(self) -> dict[str, int]:
        """Return the live processes by role; always ``web`` and ``worker``."""
        with self._lock:
            self._scan()
            return self._roles()

    def mixed(self) -> list[dict[str, Any]]:
        """Return from where code is counted that is not of one deployment, if any."""
        with self._lock:
            self._scan()
            return self._origins.mixed(self._now())

    def live(self) -> list[LiveProcess]:
        """Return the processes that lived at the last scan and can be seen from here.

        Those of another container count, but their pids mean nothing here.
        """
        with self._lock:
            return [
                LiveProcess(reader.pid, reader.role)
                for reader in self._fleet.live.values()
                if reader.namespace in {0, self._namespace}
            ]

    def close(self) -> None:
        """Close every file."""
        with self._lock:
            self._fleet.close()
            self._columns.clear()

    def _scan(self) -> None:
        self._fleet.scan()
        # Not commands: a long one ends in the release that it was begun in.
        serving = (
            reader for reader in self._fleet.live.values() if reader.role in ROLES
        )
        self._origins.see(serving, self._now())

    def _added(self) -> list[float]:
        fleet = self._fleet
        if self._dead_version != fleet.version:
            self._dead = Column(self._table)
            self._dead_slots = self._dead.follow_folded(fleet.folded)
            self._dead_version = fleet.version
        self._columns = {
            name: self._columns.get(name) or Column(self._table) for name in fleet.live
        }
        for name, reader in fleet.live.items():
            self._columns[name].follow(reader)
        row = self._summed()
        if not sane(row) and fleet.freeze_odd():
            row = self._summed()
        row[self._table.offsets[self._errors, ("exporter",)]] += fleet.errors
        return row

    def _summed(self) -> list[float]:
        # Only now, because every file may have given the row new places.
        sides = [self._dead.permuted(self._dead_slots)]
        sides += [
            self._columns[name].permuted(reader.read())
            for name, reader in self._fleet.live.items()
        ]
        # zip gives map one tuple again and again: a third faster than a comprehension.
        return list(map(sum, zip(*sides, strict=True)))

    def _current_page(self) -> Page:
        fleet = self._fleet
        needed = (
            self._table.size,
            fleet.version,
            [(name, len(process.definitions)) for name, process in fleet.live.items()],
        )
        if self._page is not None and needed == self._page_for:
            return self._page
        started = dict(fleet.folded.started)
        helps = {metric.name: metric.help for metric in METRICS}
        helps |= fleet.folded.helps
        live = set()
        for reader in sorted(fleet.live.values(), key=lambda process: process.started):
            for definition in reader.definitions:
                series = group(definition)
                live.add(series)
                started[series] = max(reader.started, started.get(series, 0.0))
                helps[definition.name] = definition.help
        self._page = page(self._table.offsets, started, frozenset(live), helps)
        self._page_for = needed
        return self._page

    def _roles(self) -> dict[str, int]:
        roles = dict.fromkeys(ROLES, 0)
        for reader in self._fleet.live.values():
            roles[reader.role] = roles.get(reader.role, 0) + 1
        return roles

    def _sending(self) -> Counter[str]:
        live = self._fleet.live.values()
        return Counter(reader.role for reader in live if reader.sentry)

    def _own(self, resets: float) -> str:
        lines = []
        roles = self._roles()
        for metric, counts in (
            (PROCESSES, roles),
            (SENTRY_PROCESSES, dict.fromkeys(roles, 0) | self._sending()),
        ):
            lines.append(header(metric.name, metric.kind, metric.help))
            lines += [
                f"{metric.name}{label_text([('role', role)])} {count}\n"
                for role, count in sorted(counts.items())
            ]
        lines.append(
            header(COUNTER_RESETS.name, COUNTER_RESETS.kind, COUNTER_RESETS.help)
        )
        lines.append(f"{COUNTER_RESETS.name} {number(resets)}\n")
        running = {
            (reader.release, reader.role) for reader in self._fleet.live.values()
        }
        lines.append(header(RELEASE_INFO.name, RELEASE_INFO.kind, RELEASE_INFO.help))
        for release, role in sorted(running):
            if release:
                labels = label_text([("release", release), ("role", role)])
                lines.append(f"{RELEASE_INFO.name}{labels} 1\n")
        return "".join(lines)
