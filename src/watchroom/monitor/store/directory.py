"""The directory of the store: on a disk of this machine, and of one process."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from watchroom.errors import StoreError
from watchroom.runtime.filesystem import network_filesystem

if TYPE_CHECKING:
    from pathlib import Path


class DirectoryLock:
    """The store's directory, held against every other process while it is open.

    Raises:
        StoreError: It cannot be made or written, lies on a network file system, or
            another process holds it.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            kind = network_filesystem(path)
            if kind:
                raise StoreError(
                    f"{path} is on a network file system ({kind}), where file locks "
                    "and SQLite's WAL aren't reliable: choose a directory on a local "
                    "disk"
                )
            self._handle = os.open(
                path / "samples.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise StoreError(
                f"{path} cannot hold the samples: {error.strerror}; "
                "choose a directory that this user may write"
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._handle, 32, 0).decode("ascii", "replace").strip()
            os.close(self._handle)
            raise StoreError(
                f"{path} is in use by process {holder or 'unknown'}: stop that "
                "process, or choose another directory"
            ) from error
        self._note()

    def _note(self) -> None:
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            # The disk is full: the lock holds all the same, only the name is missing.
            return

    def close(self) -> None:
        """Give the directory up."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
