"""state.db: what must outlive the monitor's process, alert by alert, page by page."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import struct
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from watchroom.errors import StoreError
from watchroom.monitor.files import check_format, is_damaged, refuse_directory
from watchroom.monitor.state.schema import FORMAT, OLDEST, script

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path
    from typing import Self

    from aiohttp import web

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MOST_WAITING = 10_000
"""Changes that may wait for the disk; more are refused, and counted."""

_PATIENCE_SECONDS = 10.0
_BEAT = struct.Struct("<q")


def _open(path: Path) -> sqlite3.Connection:
    """Return a writing connection to a state.db of our format, made if missing."""
    refuse_directory(path)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA busy_timeout = 5000")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        check_format(path, version, FORMAT, OLDEST)
        if version == 0:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA journal_size_limit = 4194304")
        if version < FORMAT:
            change = script(db, version)
            db.executescript(
                f"BEGIN IMMEDIATE; {change} PRAGMA user_version = {FORMAT}; COMMIT;"
            )
        check = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if check != "ok":
            raise sqlite3.DatabaseError(check)  # noqa: TRY301 - corrupt like the rest
    except BaseException:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> str:
    """Move a corrupt database and its log away; return the sentence that says so."""
    aside = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return (
        f"{path.name} was corrupt: moved to {aside.name}; pending alerts and "
        "undelivered notifications from before are lost"
    )


class StateDB:
    """The durable state of the monitor: SQLite, WAL, ``synchronous=FULL``.

    Its own thread writes; the caller gets a future that is done when the
    transaction is on disk. Reading happens in the caller's thread. Every method may be
    called from any thread.

    Attributes:
        refused: Changes that were not taken, since too many waited already.
        patience: Seconds that `commit` waits for the disk, and `read` for its turn.
    """

    def __init__(self, directory: Path) -> None:
        """Open or create ``directory/state.db``.

        A corrupt file is moved aside to ``state.db.corrupt-<time>`` and named in
        `warnings`; the monitor then starts with no memory rather than not at all.

        Raises:
            StoreError: The file was written by a newer version of watchroom, or the
                directory cannot be written.
        """
        self.warnings: list[str] = []
        self.refused = 0
        self.patience = _PATIENCE_SECONDS
        path = directory / "state.db"
        try:
            self._db = self._opened(path)
            self._reader = sqlite3.connect(path, check_same_thread=False)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"cannot open {path}: {error}") from error
        self._reader.execute("PRAGMA query_only = 1")
        self._reading = threading.Lock()
        self._beat_fd = os.open(directory / "beat", os.O_RDWR | os.O_CREAT, 0o600)
        self._jobs: queue.Queue[tuple[Callable[..., Any], Future[Any]] | None] = (
            queue.Queue(MOST_WAITING)
        )
        self._late: Future[Any] | None = None
        self._closed = False
        self._gate = threading.Lock()  # nothing is queued behind the end
        self._thread = threading.Thread(
            target=self._work, name="state.db writer", daemon=True
        )
        self._thread.start()

    def _opened(self, path: Path) -> sqlite3.Connection:
        try:
            return _open(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and not is_damaged(error):
                raise  # locked, read-only, disk full: not corruption
            self.warnings.append(_set_aside(path))
            return _open(path)

    def write(self, change: Callable[[sqlite3.Connection], Any]) -> Future[Any]:
        """Run `change` in the writer's next transaction; done = committed on disk.

        Changes that wait together share one commit; a failed change is rolled back
        alone and its future raises. Never waits: when the disk hangs and the queue is
        full, a change fails at once.

        Raises:
            StoreError: The database is closed.
        """
        future: Future[Any] = Future()
        # Running from the start: an asker that is cancelled cannot cancel a change.
        future.set_running_or_notify_cancel()
        with self._gate:
            if self._closed:
                raise StoreError("state.db is closed")
            try:
                self._jobs.put_nowait((change, future))
            except queue.Full:
                self.refused += 1
                future.set_exception(
                    StoreError(f"state.db: {MOST_WAITING} changes wait for the disk")
                )
        return future

    def commit(self, change: Callable[[sqlite3.Connection], Any]) -> Any:
        """Return what `change` gave, once it is on disk.

        Raises:
            StoreError: The disk refused, or has not answered within `patience`; it may
                take the change later.
        """
        future = self.write(change)
        try:
            return future.result(self.patience)
        except TimeoutError:
            self._late = future
            raise StoreError(f"the disk took over {self.patience:g} s") from None

    @property
    def late(self) -> bool:
        """Whether the commit that `commit` stopped waiting for is still running."""
        return self._late is not None and not self._late.done()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch = [job]
            stop = False
            with contextlib.suppress(queue.Empty):
                while not stop:
                    following = self._jobs.get_nowait()
                    if following is None:
                        stop = True
                    else:
                        batch.append(following)
            self._commit(batch)
            if stop:
                return

    def _commit(self, batch: list[tuple[Callable[..., Any], Future[Any]]]) -> None:
        done: list[tuple[Future[Any], Any]] = []
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for change, future in batch:
                self._db.execute("SAVEPOINT change")
                try:
                    done.append((future, change(self._db)))
                except Exception as error:  # noqa: BLE001 - the asker gets it
                    ours = isinstance(error, sqlite3.Error)
                    future.set_exception(
                        StoreError(f"state.db: {error}") if ours else error
                    )
                    self._db.execute("ROLLBACK TO change")
                self._db.execute("RELEASE change")
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            for _change, future in batch:
                if not future.done():
                    future.set_exception(StoreError(f"state.db: {error}"))
            return
        for future, result in done:
            future.set_result(result)

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query, as of the last commit.

        Raises:
            StoreError: The database is closed, or the disk has kept a reader before
                this one for longer than `patience`.
        """
        if not self._reading.acquire(timeout=self.patience):
            raise StoreError(f"the disk took over {self.patience:g} s")
        try:
            if self._closed:
                raise StoreError("state.db is closed")
            return self._reader.execute(sql, parameters).fetchall()
        finally:
            self._reading.release()

    def beat(self, at_ms: int) -> None:
        """Note that the monitor was watching at `at_ms`.

        No fsync: it survives the process, not the machine, and a beat lost with the
        machine only makes the gap look longer, which is the careful side.
        """
        os.pwrite(self._beat_fd, _BEAT.pack(at_ms), 0)

    def last_beat_ms(self) -> int | None:
        """Return the last `beat` of any process that held this state directory."""
        raw = os.pread(self._beat_fd, _BEAT.size, 0)
        return None if len(raw) < _BEAT.size else int(_BEAT.unpack(raw)[0])

    def close(self) -> None:
        """Commit what is queued and close; idempotent."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._jobs.put(None)
        self._thread.join()
        with self._reading:
            self._reader.close()
        self._db.close()
        os.close(self._beat_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


DISK_SECONDS = 10.0


async def on_disk(written: Future[Any]) -> Any:
    """Wait until an act is on disk.

    Raises:
        StoreError: It is not, for ten seconds or for good.
    """
    try:
        async with asyncio.timeout(DISK_SECONDS):
            return await asyncio.wrap_future(written)
    except TimeoutError as error:
        raise StoreError(f"the disk took over {DISK_SECONDS:g} s") from error
