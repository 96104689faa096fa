"""What both databases check of their files, and where their scripts are."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING

from watchroom.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

_FARTHEST = 50
"""Formats that a newer version may have; a larger number is a damaged header."""

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_UNREADABLE = ("unsupported file format", "malformed", "encoding")


def refuse_directory(path: Path) -> None:
    """Say so when a directory stands where the file should.

    Raises:
        StoreError: It does.
    """
    if path.is_dir():
        raise StoreError(f"{path} is a directory: move it away, and start again")


def check_format(path: Path, version: int, ours: int, oldest: int = 1) -> None:
    """Look at a file's ``user_version``, which is 0 in a new file.

    Raises:
        StoreError: A newer version of watchroom wrote it, or one from before `oldest`.
        sqlite3.DatabaseError: No version can have written it.
    """
    if not 0 <= version <= ours + _FARTHEST:
        error = sqlite3.DatabaseError(f"its header says format {version}")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error
    if 0 < version < oldest:
        raise StoreError(
            f"{path} has format {version}, this watchroom reads {oldest} to {ours}: "
            "run watchroom 0.1 on it first, or choose another state directory"
        )
    if version > ours:
        raise StoreError(
            f"{path} has format {version}, this watchroom reads up to {ours}: "
            "run the newer version, or choose another state directory"
        )


def sql(package: str, name: str) -> str:
    """Return a script that lies beside the modules of a package."""
    return resources.files(package).joinpath(name).read_text("utf-8")


def is_damaged(error: sqlite3.Error) -> bool:
    """Return whether `error` says the file is damaged, rather than full or busy."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return False
    # SQLite gives a schema it cannot read no code of its own.
    odd = (code & 0xFF) == sqlite3.SQLITE_ERROR
    return (code & 0xFF) in _DAMAGED or (
        odd and any(word in str(error) for word in _UNREADABLE)
    )


def lock(path: Path) -> tuple[int, str]:
    """Return the handle of a file that is locked now and "", or -1 and who holds it."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        os.close(handle)
        return -1, f"process {holder or 'unknown'}"
    with suppress(OSError):  # a full disk: the lock holds, only the name is missing
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle, ""
