"""What an existing samples.db knows, read back into memory when the store opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from watchroom.monitor.store import journal
from watchroom.monitor.store.blocks import BlockRef, Blocks, Layout, Times
from watchroom.monitor.store.codec import CorruptError, unpack_integers
from watchroom.monitor.store.database import labels_from
from watchroom.monitor.store.head import PART_MS, Chunk, Head

if TYPE_CHECKING:
    import sqlite3

    from numpy.typing import NDArray

    from watchroom.monitor.store.memory import StoreMemory
    from watchroom.promql.model import Floats


class Ids:
    """The next free id of each table; an id is never used twice in a process."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.times = _after(db, "times")
        self.layout = _after(db, "layout")
        self.block = max(_after(db, "block"), _after(db, "body"))


def _after(db: sqlite3.Connection, table: str) -> int:
    (last_id,) = db.execute(f"SELECT max(id) FROM {table}").fetchone()  # noqa: S608
    return int(last_id or 0) + 1


def load(db: sqlite3.Connection, memory: StoreMemory) -> list[tuple[int, list[int]]]:
    """Fill `memory` from the tables; return dead times with their blocks.

    Raises:
        sqlite3.DatabaseError: The file itself is damaged.
    """
    targets = {}
    for target, name in db.execute("SELECT id, name FROM target"):
        targets[target] = memory.heads[name] = Head(target)
    for series, text in db.execute("SELECT id, labels FROM series ORDER BY id"):
        memory.index.add(series, labels_from(text))
    dead = {row[0] for row in db.execute("SELECT id FROM dead")}
    buried = _load_blocks(db, memory, dead)
    _Replay(memory, targets).run(db)
    return buried


def _load_blocks(
    db: sqlite3.Connection, memory: StoreMemory, dead: set[int]
) -> list[tuple[int, list[int]]]:
    layouts: dict[int, Layout] = {}
    for layout, metric, body in db.execute("SELECT id, metric, series FROM layout"):
        try:
            series = unpack_integers(body)
        except CorruptError as error:
            memory.note(f"layout {layout} of {metric} is damaged ({error})")
            continue
        layouts[layout] = Layout(layout, metric, series)
        memory.layouts[metric, series.tobytes()] = layouts[layout]
        if len(series):
            memory.index.reserve(int(series.max()))
    columns = "id, target, first_ms, last_ms, columns, length(body)"
    times = {
        row[0]: Times(*row)
        for row in db.execute(f"SELECT {columns} FROM times")  # noqa: S608
    }
    buried: dict[int, list[int]] = {times_id: [] for times_id in dead}
    refs = []
    last = memory.index.last
    for block, column, layout, size in db.execute("SELECT * FROM block"):
        if column in dead:
            buried[column].append(block)
            continue
        if column not in times or layout not in layouts:
            memory.counts.corrupt_blocks += 1
            memory.bad.add(block)
            memory.note(f"block {block} is skipped: its layout or times are lost")
            continue
        ref = BlockRef(block, times[column], layouts[layout], size)
        refs.append(ref)
    for ref in refs:
        # A series counts as seen up to the end of the last block that holds it.
        series = ref.layout.series
        last[series] = np.maximum(last[series], ref.times.last_ms)
    memory.blocks = Blocks().changed(refs)
    return list(buried.items())


class _Replay:
    """The write-ahead rows made chunks again."""

    def __init__(self, memory: StoreMemory, targets: dict[int, Head]) -> None:
        self._memory = memory
        self._targets = targets
        self._before: dict[int, tuple[NDArray[np.int64], Floats] | None] = {}

    def run(self, db: sqlite3.Connection) -> None:
        for row, target, body in db.execute(
            "SELECT id, target, body FROM journal ORDER BY id"
        ):
            head = self._targets.get(target)
            try:
                if head is None:
                    raise CorruptError("its target is not in the file")  # noqa: TRY301
                self._put(head, row, body)
            except CorruptError as error:
                self._note_damage(head, row, error)
        for head in self._targets.values():
            # The next row begins anew, whole: it must not lean on a row now damaged.
            head.chunks = tuple(chunk for chunk in head.chunks if chunk.rows)
            for chunk in head.chunks:
                chunk.closed = True

    def _put(self, head: Head, row: int, body: bytes) -> None:
        previous = self._before.get(head.target)
        record = journal.decode(body, None if previous is None else previous[1])
        series = record.series_ids
        if not record.whole and previous is not None:
            series = np.concatenate([previous[0], record.series_ids])
        index = self._memory.index
        if any(
            series_id not in index.labels for series_id in record.series_ids.tolist()
        ):
            raise CorruptError("it names a series that is not in the file")
        if record.start or not head.chunks:
            head.chunks = (*head.chunks, Chunk(record.at_ms // PART_MS))
        chunk = head.chunks[-1]
        self._before[head.target] = series, record.values
        chunk.append(record.at_ms, series, record.values, index.names, record.states)
        chunk.journal.append(row)
        present = series if record.states is None else series[record.states != 1]
        index.last[present] = np.maximum(index.last[present], record.at_ms)

    def _note_damage(self, head: Head | None, row: int, error: CorruptError) -> None:
        self._memory.counts.corrupt_rows += 1
        self._memory.note(f"write-ahead row {row} is skipped: {error}")
        if head is None:
            return
        self._before[head.target] = None
        if head.chunks:  # its id goes when the chunk does
            head.chunks[-1].journal.append(row)
