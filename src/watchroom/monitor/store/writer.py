"""The one thread that writes: rows within half a second, chunks into blocks."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import numpy as np

from watchroom.errors import StoreError
from watchroom.monitor.files import is_damaged
from watchroom.monitor.store import block, journal
from watchroom.monitor.store.blocks import BlockRef, Blocks, Layout, Times
from watchroom.monitor.store.codec import pack_integers
from watchroom.monitor.store.database import labels_text
from watchroom.monitor.store.load import Ids, load
from watchroom.promql.model import ABSENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from watchroom.monitor.store.database import Database
    from watchroom.monitor.store.head import Chunk, Head
    from watchroom.monitor.store.memory import StoreMemory
    from watchroom.promql.model import Floats, States
    from watchroom.promql.model import Times as Stamps

_LOG = logging.getLogger(__name__)
_COMMIT_SECONDS = 0.5
_RETRY_SECONDS = (1.0, 2.0, 5.0)

Family = tuple[str, "NDArray[np.int64]", "Floats", "States | None"]
"""What becomes one block: metric, series ids ascending, values, states (S, T)."""


class Writer:
    """Owns the database's writing connection, in a thread of its own.

    After a disk error it retries, less and less often; what could not be written stays
    in memory. A damaged file is moved aside and replaced by a new one.
    """

    def __init__(self, memory: StoreMemory, database: Database) -> None:
        self.memory = memory
        self.database = database
        self.failing = ""
        """Why the disk took nothing last time; empty when it did."""
        self.dead: list[tuple[int, int, list[int]]] = []
        """Times and blocks to delete once no snapshot of an epoch before reads them."""
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None]
        self._jobs = queue.SimpleQueue()
        self._saved_at = 0.0
        try:
            buried = load(database.db, memory)
        except sqlite3.DatabaseError as error:
            if not is_damaged(error):
                raise StoreError(f"samples.db cannot be read: {error}") from error
            memory.note(database.replace(str(error)))
            self._start_over()
            buried = []
        if database.moved:
            memory.note(database.moved)
        self.dead = [(0, times, blocks) for times, blocks in buried]
        self.ids = Ids(database.db)
        for sentence in memory.warnings:
            _LOG.warning("%s", sentence)
        self._thread = threading.Thread(
            target=self._run, name="watchroom-store", daemon=True
        )
        self._thread.start()

    def submit(self, job: Callable[[], Any]) -> Future[Any]:
        """Run `job` in the writer's thread."""
        done: Future[Any] = Future()
        self._jobs.put((job, done))
        return done

    def stop(self) -> None:
        """Write what can be written and end the thread."""
        self._jobs.put(None)
        self._thread.join()
        while True:  # a caller that asked too late must not wait for ever
            try:
                item = self._jobs.get_nowait()
            except queue.Empty:
                return
            if item is not None:
                item[1].set_exception(StoreError("the store is closed"))

    def _run(self) -> None:
        wait, failures = _COMMIT_SECONDS, 0
        while True:
            try:
                item = self._jobs.get(timeout=wait)
            except queue.Empty:
                item = (self.tick, Future())
            if item is None:
                self._guarded(self.tick, Future())
                return
            self._guarded(*item)
            if self.failing:
                wait = _RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)]
                failures += 1
            else:
                wait, failures = _COMMIT_SECONDS, 0

    def _guarded(self, job: Callable[[], Any], done: Future[Any]) -> None:
        """Run `job`; its error goes to its caller, never through the thread."""
        try:
            result = job()
            self.failing = ""
        except sqlite3.Error as error:
            self.memory.counts.write_failures += 1
            if is_damaged(error):
                self._replace(error)
            elif not self.failing:
                _LOG.warning(
                    "samples can't be written to disk and stay in memory: %s", error
                )
            self.failing = str(error)
            done.set_exception(StoreError(f"samples.db cannot be written: {error}"))
        except Exception as error:  # noqa: BLE001 - the one guard of the thread
            _LOG.exception("the store's writer failed")
            self.memory.counts.write_failures += 1
            self.failing = repr(error)
            done.set_exception(StoreError(f"the store's writer failed: {error!r}"))
        else:
            done.set_result(result)

    def _replace(self, error: sqlite3.Error) -> None:
        try:
            self._renew(str(error))
        except (sqlite3.Error, OSError) as again:
            _LOG.error("samples.db is damaged and cannot be replaced: %s", again)

    def _renew(self, reason: str) -> None:
        """Begin a new file; raises as SQLite does when there can be none."""
        message = self.database.replace(reason)
        _LOG.error("%s", message)
        self.memory.note(message)
        self._start_over()
        self.ids = Ids(self.database.db)

    def _start_over(self) -> None:
        """Keep the newest rows; everything that was in the file is gone."""
        memory = self.memory
        with memory.lock:
            memory.blocks, memory.layouts = Blocks(), {}
            memory.bad = set()
            memory.epoch += 1
            memory.generation = self.database.generation
            memory.index.unsaved = sorted(memory.index.labels)
            memory.unsaved_targets = list(memory.heads)
            for head in memory.heads.values():
                for chunk in head.chunks:
                    chunk.journal = []
        self.dead = []

    def tick(self) -> None:
        """Save new rows, then make blocks of the closed chunks."""
        with self.memory.lock:
            self.memory.shed()
        if self.database.vanished():
            self._renew("it was deleted or replaced while in use")
        self.save()
        self.cut()

    def save(self) -> None:
        """Write the write-ahead rows of everything new, in one transaction."""
        memory = self.memory
        self._saved_at = time.monotonic()
        with memory.lock:
            work = [
                (head.target, chunk, chunk.unsaved())
                for head in memory.heads.values()
                for chunk in head.chunks
                # What is closed and was never saved becomes blocks right away.
                if len(chunk.journal) < chunk.rows
                and not (chunk.closed and not chunk.journal)
            ]
        if not work:
            return
        with self.database.transaction() as db:
            inserted = self._insert_names(db)
            saved = [
                (chunk, [self._row(db, target, *row) for row in rows])
                for target, chunk, rows in work
            ]
        with memory.lock:
            self._mark_inserted(inserted)
            for chunk, ids in saved:
                chunk.journal += ids

    @staticmethod
    def _row(
        db: sqlite3.Connection, target: int, row: journal.JournalRow, before: Floats
    ) -> int:
        body = journal.encode(row, before)
        done = db.execute(
            "INSERT INTO journal (target, body) VALUES (?, ?)", (target, body)
        )
        return done.lastrowid or 0

    def _insert_names(self, db: sqlite3.Connection) -> tuple[list[int], list[str]]:
        """Insert series and targets that are new; return them for `_named`."""
        memory = self.memory
        with memory.lock:
            series, targets = list(memory.index.unsaved), list(memory.unsaved_targets)
            rows = [(series_id, memory.index.labels[series_id]) for series_id in series]
            names = [(memory.heads[name].target, name) for name in targets]
        # Not plain INSERT: an id may be there from before a failed COMMIT said so.
        db.executemany(
            "INSERT OR REPLACE INTO series VALUES (?, ?)",
            [(series_id, labels_text(labels)) for series_id, labels in rows],
        )
        db.executemany("INSERT OR REPLACE INTO target VALUES (?, ?)", names)
        return series, targets

    def _mark_inserted(self, inserted: tuple[list[int], list[str]]) -> None:
        index, memory = self.memory.index, self.memory
        series, targets = set(inserted[0]), set(inserted[1])
        index.unsaved = [item for item in index.unsaved if item not in series]
        memory.unsaved_targets = [
            item for item in memory.unsaved_targets if item not in targets
        ]

    def cut(self) -> None:
        """Make blocks of every closed chunk."""
        with self.memory.lock:
            over = [
                (head, chunk)
                for head in self.memory.heads.values()
                for chunk in head.chunks
                if chunk.closed
            ]
        for head, chunk in over:
            self._cut_one(head, chunk)
            self.breathe()

    def breathe(self) -> None:
        """Between two long steps: save rows that have waited."""
        if time.monotonic() - self._saved_at > _COMMIT_SECONDS:
            self.save()

    def _cut_one(self, head: Head, chunk: Chunk) -> None:
        view = chunk.view()
        families: list[Family] = []
        for metric, columns in view.shape.families.items():
            order = columns[np.argsort(view.shape.series[columns])]
            states = None if view.states is None else view.states[:, order].T
            families.append(
                (metric, view.shape.series[order], view.values[:, order].T, states)
            )
        with self.database.transaction() as db:
            inserted = self._insert_names(db)
            refs = self.put(db, head.target, view.times, families)
            self.database.delete("journal", chunk.journal)
        with self.memory.lock:
            self._mark_inserted(inserted)
            head.chunks = tuple(other for other in head.chunks if other is not chunk)
            self.publish(refs)

    def put(
        self,
        db: sqlite3.Connection,
        target: int,
        times: Stamps,
        families: Iterable[Family],
    ) -> list[BlockRef]:
        """Insert a timestamp column and its blocks, inside a transaction."""
        body = pack_integers(times)
        column = Times(
            self.ids.times, target, int(times[0]), int(times[-1]), len(times), len(body)
        )
        self.ids.times += 1
        db.execute("INSERT INTO times VALUES (?, ?, ?, ?, ?, ?)", (*column[:5], body))
        refs = []
        for metric, series, values, states in families:
            if states is not None and (states == ABSENT).all():
                continue
            layout = self._layout(db, metric, series)
            data = block.encode(values, states)
            ref = BlockRef(self.ids.block, column, layout, len(data))
            self.ids.block += 1
            db.execute("INSERT INTO body VALUES (?, ?)", (ref.id, data))
            db.execute(
                "INSERT INTO block VALUES (?, ?, ?, ?)",
                (ref.id, column.id, layout.id, len(data)),
            )
            refs.append(ref)
        return refs

    def _layout(
        self, db: sqlite3.Connection, metric: str, series: NDArray[np.int64]
    ) -> Layout:
        existing = self.memory.layouts.get((metric, series.tobytes()))
        if existing is not None:
            return existing
        layout = Layout(self.ids.layout, metric, np.ascontiguousarray(series))
        self.ids.layout += 1
        db.execute(
            "INSERT INTO layout VALUES (?, ?, ?)",
            (layout.id, metric, pack_integers(layout.series)),
        )
        return layout

    def publish(self, refs: list[BlockRef], gone: frozenset[int] = frozenset()) -> None:
        """Show blocks to new snapshots; the caller holds the lock."""
        memory = self.memory
        for ref in refs:
            key = ref.layout.metric, ref.layout.series.tobytes()
            memory.layouts.setdefault(key, ref.layout)
        if gone:
            memory.epoch += 1
        memory.blocks = memory.blocks.changed(refs, gone)
