"""What this process counts, and the file it counts in.

Everything that an instrument touches per event is one attribute away, in
`Process.cells`: after a fork, or when the file was lost, that dictionary is replaced
and no view of the old file is reached again. A closure over a view would survive both.
"""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from bisect import bisect_left
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from watchroom import conf
from watchroom.catalogue import metrics
from watchroom.errors import ConfigError
from watchroom.registry import forks
from watchroom.runtime import directory as rundir
from watchroom.runtime.slots import TO_GRAIN, Arena, Definition, ProcessFile

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from watchroom.catalogue.metrics import Metric
    from watchroom.runtime.slots import Cell, View

OVERFLOW = "overflow"
# A main process that only looks after the ones that work.
SUPERVISOR = "supervisor"
_AT_WORK = frozenset({"web", "worker", "command"})
CHECK_SECONDS = 5.0
# Unlocked `slot += 1.0` lost 0 of 4 million over 4 threads on GIL builds (measured; the
# race test repeats it). Without a GIL the lock is needed; with one it costs 120 ns and
# deadlocks when a signal handler counts while it is held.
LOCKED = not getattr(sys, "_is_gil_enabled", lambda: True)()


class _Series:
    __slots__ = ("cell", "definition", "stored")

    def __init__(self, definition: Definition, cell: Cell, *, stored: bool) -> None:
        self.definition = definition
        self.cell = cell
        self.stored = stored  # in the file, not in memory


class Process:
    """The metrics of this process.

    Attributes:
        on: Whether anything is counted now.
        waiting: The first request switches counting on: a process that only builds the
            handler, such as a preloading master, must not count as one that serves.
        served: Whether a request has come.
        role: ``web``, ``worker`` or ``command``, ``supervisor`` or ``beat``.
        cells: What the instruments keep, by their own keys; replaced as a whole.
        pid: Whose cells these are: uWSGI forks in C, unseen by Python's fork hooks.
        next_check: `time.perf_counter` at which `check` is due.
        sentry: Whether errors are sent; said in the file when it is opened, so set
            while the settings are read.
        building: The module that makes the app's handler, which may fork a helper.
        helper: Whether it was forked by a web process for something else.
    """

    def __init__(self) -> None:
        self.on = False
        self.waiting = False
        self.role = "command"
        self.sentry = self.helper = False
        self.building = ""
        self._seeds: list[Callable[[], None]] = []
        self._hooked = self._master = False
        self._reset()

    def _reset(self) -> None:
        self.pid = os.getpid()
        self.served = False
        self.cells: dict[Hashable, Any] = {}
        self.next_check = math.inf
        self.slot_lock = threading.RLock()
        self._lock = threading.RLock()
        self._busy = False
        self._settings: conf.Settings | None = None
        self._file: ProcessFile | None = None
        self._arena: Arena | None = None
        self._overflow = Arena()
        self._series: dict[tuple[str, tuple[str, ...]], _Series] = {}
        self._definitions: dict[Metric, Definition] = {}

    # Coming and going

    def seed(self, create: Callable[[], None]) -> None:
        """Have `create` make the series that must be 0 before the first event."""
        if create not in self._seeds:
            self._seeds.append(create)
            if self._arena is not None and self.role in _AT_WORK:
                create()

    def start(self, role: str) -> None:
        """Count from now on, as a process of this role, and show it by the file."""
        with self._lock:
            self.on, self.waiting, self.role = True, False, role
            if not self._hooked:
                os.register_at_fork(
                    after_in_parent=self.forked, after_in_child=self.born
                )
                self._hooked = True
            if self._arena is None:
                self._open()

    def stop(self) -> None:
        """Count no more; take the file's name away if it never served anybody."""
        with self._lock:
            self.on = False
            file = self._file
            self.cells = {}
            if file is not None and not self.served:
                self._reset()
                with suppress(OSError):
                    file.path.unlink()
                file.close()

    def forked(self) -> None:
        """Step back after a fork: who forks before its first request is a master."""
        if (
            self.on
            and self.role == "web"
            and not self.served
            and not forks.of_a_helper(self.building)
        ):
            self.stop()
            self.waiting = self._master = True

    def born(self) -> None:
        """Be a new process, after a fork.

        The lock and the maps are the parent's: letting go of the descriptor alone would
        hold the lock beyond the parent's death (measured).
        """
        file, served, on = self._file, self.served, self.on
        self._reset()
        if file is not None:
            with suppress(OSError, BufferError):
                file.close()
        if self.role == SUPERVISOR:
            self.on = False  # its children say themselves what they are
        if self.role == "worker" and on:
            self.role = "command"  # what a task forks runs no tasks
        if self.role != "web" or not (on or self._master):
            return
        # A child of one that serves is a helper, and shows itself when it observes; a
        # child of a master is a worker, even before its first request.
        master, self._master = self._master, False
        if forks.of_a_helper(self.building) or (served and not master):
            self.role, self.helper = "command", True
            self.next_check = 0.0
        else:
            self.start("web")

    def attend(self, now: float) -> None:
        """Look after the file of a process that was asked for a page.

        A helper that is asked is a web process after all.
        """
        if self.helper:
            with self._lock:
                self.helper, self.role = False, "web"
                self._open()
        self.check(now)

    def check(self, now: float) -> None:
        """Look after the file: lost its name, never had one, has room again."""
        self.next_check = now + CHECK_SECONDS
        if not self._lock.acquire(blocking=False):
            return
        try:
            if self._file is None or self._file.unlinked():
                self._open()
            elif any(
                not series.stored and series.definition.kind != "inflight"
                for series in self._series.values()
            ):
                self._adopt(self._file, dict(self._series))
                self.cells = {}
        finally:
            self._lock.release()

    def _open(self) -> None:
        self.next_check = time.perf_counter() + CHECK_SECONDS
        config = self.settings()
        old, series = self._file, self._series
        file = None
        try:
            directory = conf.runtime_dir(config)
            rundir.prepare(directory)
            file = ProcessFile(
                directory,
                config.name,
                self.role,
                time.time(),
                replaces=old.path.name if old else None,
                release=conf.release(),
                code_directory=conf.code_directory(),
                sentry=self.sentry,
            )
            self._series = {}
            self._adopt(file, series)
            file.publish()
        except (OSError, ConfigError):
            # Nobody to tell but ourselves: counted, in memory until there is a file.
            if file is not None:
                file.close()
            self._series = series
            self._arena = self._arena or self._overflow
            self.failed("registry")
        else:
            self._file = self._arena = file
            self.cells = {}
            if old is not None:
                old.leave()
        if self.role in _AT_WORK:
            for create in self._seeds:
                create()

    def _adopt(
        self, file: ProcessFile, rows: dict[tuple[str, tuple[str, ...]], _Series]
    ) -> None:
        # What is in flight stays where its end will look for it.
        for key, series in rows.items():
            if series.definition.kind == "inflight" or (
                series.stored and file is self._file
            ):
                continue
            (old, at), definition = series.cell, series.definition
            try:
                new, to = file.series(definition, key[1])
            except OSError:
                self._series[key] = _Series(definition, series.cell, stored=False)
                continue
            for step in range(definition.slots):
                new[to + step] += old[at + step]
            self._series[key] = _Series(definition, (new, to), stored=True)

    # Counting

    def settings(self) -> conf.Settings:
        """Return the project's settings, or the defaults when they are wrong."""
        if self._settings is None:
            self._settings = conf.settings_or_names()
        return self._settings

    def cell(self, metric: Metric, values: tuple[str, ...]) -> Cell:
        """Return where the slots of a series begin; made when it is new."""
        with self._lock:
            series = self._series.get((metric.name, values))
            if series is not None:
                return series.cell
            if self._arena is None:
                self._open()
                return self.cell(metric, values)
            if self._busy:
                # A signal handler counts while this very thread makes a series.
                return self._aside(metric, values)
            self._busy = True
            try:
                return self._make(metric, values)
            finally:
                self._busy = False

    def remember(self, key: Hashable, cells: Any) -> None:
        """Keep an instrument's cells, within twice the cap on series."""
        if len(self.cells) < 2 * self.settings().max_series:
            self.cells[key] = cells

    def edges(self, metric: Metric) -> tuple[float, ...]:
        """Return a histogram's edges under this project's limits."""
        return self._define(metric).edges

    def failed(self, instrument: str) -> None:
        """Count a fault inside an instrument."""
        view, at = self.cell(metrics.INSTRUMENT_ERRORS, (instrument,))
        add(view, at, 1.0)

    def _define(self, metric: Metric) -> Definition:
        definition = self._definitions.get(metric)
        if definition is None:
            edges: tuple[float, ...] = ()
            if metric.kind == "histogram":
                edges = metrics.edges(metric, self.settings().limits)
            definition = Definition(
                metric.name, metric.kind, metric.help, metric.labels, edges
            )
            self._definitions[metric] = definition
        return definition

    def _make(self, metric: Metric, values: tuple[str, ...]) -> Cell:
        arena = self._arena or self._overflow
        definition = self._define(metric)
        if metric.open_labels and len(self._series) >= self.settings().max_series:
            self._drop(definition)
            values = tuple(
                OVERFLOW if label in metric.open_labels else value
                for label, value in zip(metric.labels, values, strict=True)
            )
            series = self._series.get((metric.name, values))
            if series is not None:
                return series.cell
        try:
            cell = arena.series(definition, values)
        except OSError:
            self._drop(definition)
            return self._aside(metric, values)
        self._series[metric.name, values] = _Series(
            definition, cell, stored=self._file is not None
        )
        return cell

    def _aside(self, metric: Metric, values: tuple[str, ...]) -> Cell:
        definition = self._define(metric)
        cell = self._overflow.series(definition, values)
        self._series[metric.name, values] = _Series(definition, cell, stored=False)
        return cell

    def _drop(self, definition: Definition) -> None:
        arena = self._arena or self._overflow
        try:
            _, (view, at) = arena.metric(definition)
        except OSError:
            return  # not even room to say so; the process' errors say it
        add(view, at, 1.0)


def _add(view: View, at: int, amount: float) -> None:
    view[at] += amount


def _add_locked(view: View, at: int, amount: float) -> None:
    # Reentrant: a finalizer that counts may interrupt this very statement.
    with PROCESS.slot_lock:
        view[at] += amount


def _observe(view: View, base: int, edges: tuple[float, ...], value: float) -> None:
    view[base + bisect_left(edges, value)] += 1.0
    view[base + len(edges) + 1] += value + TO_GRAIN - TO_GRAIN


def _observe_locked(
    view: View, base: int, edges: tuple[float, ...], value: float
) -> None:
    with PROCESS.slot_lock:
        _observe(view, base, edges, value)


add = _add_locked if LOCKED else _add
observe = _observe_locked if LOCKED else _observe
PROCESS = Process()
