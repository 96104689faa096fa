"""The processes of a project: who lives, who died, and the folding of the dead."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from watchroom.errors import FormatError
from watchroom.exporter.processes.totals import DeadTotals, load
from watchroom.runtime.reader import Reader, sane
from watchroom.runtime.slots import SUFFIX, UNBORN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LOG = logging.getLogger("watchroom")
# A file has its name within milliseconds, or its process died before it could give it.
_UNBORN_SECONDS = 60.0
LOCK_SECONDS = 0.5
MOST_FILES = 2000
# Nothing is wrong with the file: it is read next time.
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR})


class Fleet:
    """Tracks the files of one deployment's processes.

    Args:
        directory: The runtime directory; need not exist.
        name: As in file names.
        now: Epoch seconds.

    Attributes:
        live: The files of living processes, by name.
        folded: The totals of the dead, those not yet on disk included.
        version: Rises whenever `folded` is another.
        errors: Files and folds that failed, so far.
    """

    def __init__(self, directory: Path, name: str, now: Callable[[], float]) -> None:
        self.live: dict[str, Reader] = {}
        self.folded = DeadTotals()
        self.version = 0
        self.errors = 0
        self._dir = directory
        self._prefix = f"{name}."
        self._totals = directory / f"{name}.base"
        self._lock = directory / f"{name}.lock"
        self._now = now
        self._saved = DeadTotals()
        self._seen: tuple[int, int, int] | None = None
        # Counted in `folded`, kept until the totals on disk say so.
        self._unsaved: list[Reader] = []
        self._refused: set[str] = set()
        self._damaged: set[str] = set()

    def scan(self) -> None:
        """Find the living, fold the dead. Never raises for what a directory holds."""
        try:
            with self._locked() as locked:
                # Without the lock another may fold a file meanwhile. Who is met before
                # the totals are read is in one of both, and `take` counts nobody twice.
                names = self._discover()
                self._reload()
                self._forget(names)
                self._fold_dead()
                if locked:
                    self._save(names)
        except FileNotFoundError:
            # The directory is gone. Who lives still counts into a file without a name.
            self._fold_dead()
        except OSError as error:
            self._fault("can't read the runtime directory: %s", error)
            self._fold_dead()

    def close(self) -> None:
        """Close every file."""
        for reader in (*self.live.values(), *self._unsaved):
            reader.close()
        self.live.clear()
        self._unsaved.clear()

    @contextmanager
    def _locked(self) -> Iterator[bool]:
        """Yield whether the directory is ours alone; nobody may keep it from us."""
        # Two exporters may serve one directory, at least while one replaces the other.
        flags = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW
        try:
            handle = os.open(self._lock, flags, 0o660)
        except FileNotFoundError:
            raise
        except OSError as error:
            self._fault("can't lock the runtime directory: %s", error)
            yield False
            return
        try:
            acquired = self._wait_for(handle)
            if not acquired:
                reason = f"another process has locked {self._lock.name} for too long"
                self._fault(
                    "the files of dead processes can't be removed: %s",
                    FormatError(reason),
                )
            yield acquired
        finally:
            os.close(handle)

    def _wait_for(self, handle: int) -> bool:
        end = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    return False
                time.sleep(0.01)
            else:
                return True

    def _reload(self) -> None:
        try:
            status = self._totals.lstat()
        except FileNotFoundError:
            # It was removed: what is in memory is written again.
            self._seen = None
            return
        identity = (status.st_ino, status.st_mtime_ns, status.st_size)
        if identity == self._seen:
            return
        try:
            self._saved = load(self._totals)
        except (FormatError, OSError) as error:
            self._fault("totals restart at 0: %s", error)
            self._saved = DeadTotals()
            self._saved.resets = self.folded.resets + 1.0
            with suppress(OSError):
                self._totals.rename(self._totals.with_name(f"{self._totals.name}.bad"))
        self._seen = identity
        self.folded = self._saved.copy()
        self.version += 1
        for reader in self._unsaved:
            self.folded.take(reader, self._now())

    def _discover(self) -> set[str]:
        names = set()
        for entry in os.scandir(self._dir):
            if not entry.name.startswith(self._prefix):
                continue
            if entry.name.endswith(UNBORN):
                self._clear_unborn(self._dir / entry.name)
            if not entry.name.endswith(SUFFIX):
                continue
            names.add(entry.name)
            if (
                entry.name in self.live
                or entry.name in self.folded.names
                or entry.name in self._refused
            ):
                continue
            if len(self.live) >= MOST_FILES:
                reason = f"there are more than {MOST_FILES}"
                self._fault("cannot read a process file: %s", FormatError(reason))
                continue
            try:
                self.live[entry.name] = Reader(self._dir / entry.name)
            except FileNotFoundError:
                names.discard(entry.name)
            except (FormatError, OSError) as error:
                if getattr(error, "errno", 0) not in _PASSING:
                    self._refused.add(entry.name)
                self._fault("cannot read a process file: %s", error)
        self._refused &= names
        self._damaged &= names
        return names

    def _clear_unborn(self, path: Path) -> None:
        with suppress(OSError):
            if self._now() - path.stat().st_mtime > _UNBORN_SECONDS:
                path.unlink()

    def _forget(self, names: set[str]) -> None:
        # A file that lost its name counts until its process has gone on in another,
        # or until another exporter has folded it.
        replaced = {reader.replaces for reader in self.live.values()}
        for name in list(self.live):
            if name in self.folded.names or (name in replaced and name not in names):
                self.live.pop(name).close()

    def _fold_dead(self) -> None:
        for name, reader in list(self.live.items()):
            # In this order: what a process counted last it counted before it died.
            alive = reader.alive()
            reader.refresh()
            if not alive:
                self.folded.take(reader, self._now())
                self.version += 1
                self._unsaved.append(self.live.pop(name))
            self._notice(reader)

    def _notice(self, reader: Reader) -> None:
        if reader.damage and reader.name not in self._damaged:
            self._damaged.add(reader.name)
            self._fault("a process file is damaged: %s", FormatError(reader.damage))

    def freeze_odd(self) -> bool:
        """Freeze live files whose counts are not numbers; return whether any was."""
        broken = [
            candidate for candidate in self.live.values() if not sane(candidate.read())
        ]
        for reader in broken:
            reader.check()
            self._notice(reader)
        return bool(broken)

    def _save(self, names: set[str]) -> None:
        if self._unsaved or (self._seen is None and self.folded.series):
            try:
                self.folded.save(self._totals, self._now())
            except OSError as error:
                # The dead stay as they are, and are counted from memory until then.
                self._fault("can't add up the files of dead processes: %s", error)
                return
            status = self._totals.stat()
            self._seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            self._saved = self.folded.copy()
            for reader in self._unsaved:
                reader.close()
            self._unsaved.clear()
        for name in names & self._saved.names.keys():
            (self._dir / name).unlink(missing_ok=True)

    def _fault(self, message: str, error: Exception) -> None:
        self.errors += 1
        if self.errors == 1 or self.errors % 1000 == 0:
            _LOG.warning(message, error)
