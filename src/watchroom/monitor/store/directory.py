"""The directory of the store: on a disk of this machine, and of one process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from watchroom.errors import StoreError
from watchroom.monitor.files import lock
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
            self._handle, holder = lock(path / "samples.lock")
        except OSError as error:
            raise StoreError(
                f"{path} cannot hold the samples: {error.strerror}; "
                "choose a directory that this user may write"
            ) from error
        if holder:
            raise StoreError(
                f"{path} is in use by {holder}: stop that process, or choose another "
                "directory"
            )

    def close(self) -> None:
        """Give the directory up."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
