"""samples.db: the tables, the one connection that writes, the few that read."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from typing import TYPE_CHECKING

from watchroom.errors import StoreError
from watchroom.monitor.files import check_format, is_damaged, refuse_directory, sql
from watchroom.monitor.store.codec import CorruptError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from watchroom.promql.model import Labels

FORMAT = 1
"""The version of the tables, in ``user_version``."""

PAGE_BYTES = 4096
_READERS = 4


def _unreadable(error: sqlite3.Error) -> StoreError:
    if is_damaged(error):
        return CorruptError(str(error))
    return StoreError(f"samples.db cannot be read: {error}")


def labels_text(labels: Labels) -> str:
    """Return `labels` as the table holds them."""
    flat = [text for pair in labels for text in pair]
    return json.dumps(flat, ensure_ascii=False, separators=(",", ":"))


def labels_from(text: str) -> Labels:
    """Return the labels that `labels_text` wrote."""
    flat = json.loads(text)
    return tuple(zip(flat[::2], flat[1::2], strict=True))


class Database:
    """The open file. `db` belongs to the writer's thread; `body` to any thread.

    Raises:
        StoreError: A newer version wrote the file, or it cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.moved = ""
        """The message of the last time a damaged file had to be moved away."""
        self.generation = 0
        """Raised when the file is replaced: ids of the old one mean nothing then."""
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._slots = threading.BoundedSemaphore(_READERS)
        self._closed = False
        self._inode = 0
        try:
            self.db = self._opened()
        except sqlite3.Error as error:
            if not is_damaged(error):
                raise StoreError(f"{path} cannot be opened: {error}") from error
            self.moved = self._set_aside(str(error))
            self.db = self._opened()

    def _opened(self) -> sqlite3.Connection:
        refuse_directory(self.path)
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA busy_timeout = 2000")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            check_format(self.path, version, FORMAT)
            if version == 0:
                # These three are ignored once there is a table.
                db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
                db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA journal_size_limit = 4194304")
            if version == 0:
                tables = sql(__package__, "schema.sql")
                db.executescript(
                    f"BEGIN IMMEDIATE; {tables}PRAGMA user_version = {FORMAT}; COMMIT;"
                )
            else:  # reads the schema; a torn first page shows here
                db.execute("SELECT count(*) FROM target").fetchone()
            self._inode = self.path.stat().st_ino
        except BaseException:
            db.close()
            raise
        return db

    def _set_aside(self, reason: str) -> str:
        stamp = int(time.time())
        aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}")
        while aside.exists():
            stamp += 1
            aside = self.path.with_name(f"{self.path.name}.corrupt-{stamp}")
        if not self.path.exists():
            return f"{self.path.name} is lost ({reason}): starting with an empty one"
        for suffix in ("", "-wal", "-shm"):
            part = self.path.with_name(self.path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        return (
            f"{self.path.name} is damaged ({reason}): moved to {aside.name}; starting "
            "with an empty one, without the earlier samples"
        )

    def vanished(self) -> bool:
        """Return whether the open file is no longer the one at its path."""
        try:
            return self.path.stat().st_ino != self._inode
        except FileNotFoundError:
            return True
        except OSError:  # the disk is in trouble: writing will say what it is
            return False

    def replace(self, reason: str) -> str:
        """Move the damaged file aside and open a new one; return a message."""
        with contextlib.suppress(sqlite3.Error):
            self.db.close()
        with self._lock:
            self.generation += 1
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        message = self._set_aside(reason)
        self.db = self._opened()
        return message

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the body in one transaction of the writing connection."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
            self.db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
            raise

    def body(self, generation: int, block: int) -> bytes:
        """Return the body of a block.

        Raises:
            CorruptError: It is not there, or its pages are damaged.
            StoreError: The disk cannot be read now.
        """
        return self._fetch("SELECT data FROM body WHERE id = ?", generation, block)

    def times_body(self, generation: int, times: int) -> bytes:
        """Return the body of a timestamp column; raises like `body`."""
        return self._fetch("SELECT body FROM times WHERE id = ?", generation, times)

    def _fetch(self, sql: str, generation: int, key: int) -> bytes:
        with self._slots:
            db = self._reader(generation)
            try:
                # All rows at once: the statement ends, and its read transaction too.
                rows = db.execute(sql, (key,)).fetchall()
            except sqlite3.Error as error:
                db.close()
                raise _unreadable(error) from error
            with self._lock:
                if self._closed or generation != self.generation:
                    db.close()
                else:
                    self._idle.append(db)
        if not rows:
            raise CorruptError("it is not in the file")
        body: bytes = rows[0][0]
        return body

    def _reader(self, generation: int) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise StoreError("the store is closed")
            if generation != self.generation:
                raise CorruptError("its file was damaged and moved aside")
            if self._idle:
                return self._idle.pop()
        try:
            db = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
            db.execute("PRAGMA busy_timeout = 2000")
        except sqlite3.Error as error:
            raise _unreadable(error) from error
        return db

    def used_bytes(self) -> int:
        """Return the bytes of pages in use; writer only."""
        (pages,) = self.db.execute("PRAGMA page_count").fetchone()
        (free,) = self.db.execute("PRAGMA freelist_count").fetchone()
        (size,) = self.db.execute("PRAGMA page_size").fetchone()
        used: int = (pages - free) * size
        return used

    def shrink(self, pages: int) -> None:
        """Give up to `pages` free pages back to the disk; writer only."""
        # The statement frees one page a step, so it must be stepped to its end.
        self.db.execute(f"PRAGMA incremental_vacuum({pages})").fetchall()

    def checkpoint(self) -> None:
        """Copy the log into the file and empty it, readers permitting; writer only."""
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def delete(self, table: str, ids: Iterable[int]) -> None:
        """Delete rows by id, inside a transaction; writer only."""
        self.db.executemany(
            f"DELETE FROM {table} WHERE id = ?",  # noqa: S608 - our own table names
            [(row_id,) for row_id in ids],
        )

    def close(self) -> None:
        """Close every connection."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        self.db.close()
