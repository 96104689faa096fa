"""The processes of a project: who lives, who died, and the folding of the dead."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from watchroom.errors import FormatError
from watchroom.exporter.folded import Folded, load
from watchroom.formats.slotreader import Reader
from watchroom.formats.slots import SUFFIX, UNBORN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LOG = logging.getLogger("watchroom")
# A file has its name within milliseconds, or its process died before it could give it.
_UNBORN_SECONDS = 60.0


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
        self.folded = Folded()
        self.version = 0
        self.errors = 0
        self._dir = directory
        self._prefix = f"{name}."
        self._totals = directory / f"{name}.base"
        self._lock = directory / f"{name}.lock"
        self._now = now
        self._saved = Folded()
        self._seen: tuple[int, int, int] | None = None
        # Counted in `folded`, kept until the totals on disk say so.
        self._unsaved: list[Reader] = []
        self._refused: set[str] = set()

    def scan(self) -> None:
        """Find the living, fold the dead. Never raises for what a directory holds."""
        try:
            with self._locked():
                self._reload()
                names = self._meet()
                self._forget(names)
                self._bury()
                self._save(names)
        except FileNotFoundError:
            # The directory is gone. Who lives still counts into a file without a name.
            self._bury()
        except OSError as error:
            self._fault("cannot read the runtime directory: %s", error)

    def close(self) -> None:
        """Close every file."""
        for reader in (*self.live.values(), *self._unsaved):
            reader.close()
        self.live.clear()
        self._unsaved.clear()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Two exporters may serve one directory, at least while one replaces the other.
        handle = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o660)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _reload(self) -> None:
        try:
            found = self._totals.stat()
        except FileNotFoundError:
            # Somebody removed it: what is in memory is written again.
            self._seen = None
            return
        seen = (found.st_ino, found.st_mtime_ns, found.st_size)
        if seen == self._seen:
            return
        try:
            self._saved = load(self._totals)
        except FormatError as error:
            self._fault("totals start again: %s", error)
            self._saved = Folded()
            self._saved.resets = self.folded.resets + 1.0
        self._seen = seen
        self.folded = self._saved.copy()
        self.version += 1
        for reader in self._unsaved:
            self.folded.take(reader, self._now())

    def _meet(self) -> set[str]:
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
            try:
                self.live[entry.name] = Reader(self._dir / entry.name)
            except FileNotFoundError:
                names.discard(entry.name)
            except (FormatError, OSError) as error:
                self._refused.add(entry.name)
                self._fault("cannot read a process file: %s", error)
        self._refused &= names
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

    def _bury(self) -> None:
        for name, reader in list(self.live.items()):
            try:
                # In this order: what a process counted last it counted before it died.
                alive = reader.alive()
                reader.refresh()
            except (FormatError, OSError) as error:
                self._fault("cannot read a process file: %s", error)
                self._refused.add(name)
                self.live.pop(name).close()
                continue
            if not alive:
                self.folded.take(reader, self._now())
                self.version += 1
                self._unsaved.append(self.live.pop(name))

    def _save(self, names: set[str]) -> None:
        if self._unsaved or (self._seen is None and self.folded.series):
            try:
                self.folded.save(self._totals, self._now())
            except OSError as error:
                # The dead stay as they are, and are counted from memory until then.
                self._fault("cannot fold the files of dead processes: %s", error)
                return
            found = self._totals.stat()
            self._seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            self._saved = self.folded.copy()
            for reader in self._unsaved:
                reader.close()
            self._unsaved.clear()
        for name in names & self._saved.names.keys():
            (self._dir / name).unlink(missing_ok=True)

    def _fault(self, what: str, error: Exception) -> None:
        self.errors += 1
        if self.errors == 1 or self.errors % 1000 == 0:
            _LOG.warning(what, error)
