"""When each entry of a schedule was last published and last ran: a tiny file for each.

Beat writes who was published, workers what they began, the collector since when it
waits; each may be another user and none may wait for another, so there is no lock: a
file holds one fact and is replaced whole.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from hashlib import blake2s
from typing import TYPE_CHECKING, NamedTuple

from watchroom.runtime.directory import MODE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PUBLISHED, BEGUN, AWAITED = "published", "begun", "awaited"
MOST_ENTRIES = 1000
MAX_NAME = 200
# Three facts of each entry, and as many of those that have come and gone.
MOST_FILES = 6 * MOST_ENTRIES


class Run(NamedTuple):
    """One fact about an entry.

    Attributes:
        entry: Its name in the schedule.
        at: Epoch seconds at which it was published, also of a run that began later.
        schedule: What `at` was noted under, where that matters.
    """

    entry: str
    at: float
    schedule: str = ""


def directory(runtime_dir: Path, name: str) -> Path:
    """Return where the facts of a deployment are; it need not exist."""
    return runtime_dir / f"{name}.schedule"


def note(where: Path, kind: str, run: Run) -> None:
    """Write a fact; an older one than is there is dropped.

    Raises:
        OSError: No room, no permission, no runtime directory.
        ValueError: The name is too long to be one.
    """
    if len(run.entry) > MAX_NAME:
        raise ValueError("the name of a schedule's entry is too long")
    if not where.is_dir():
        where.mkdir(exist_ok=True)
        where.chmod(MODE)
    path = where / f"{_digest(run.entry)}.{kind}"
    known = _read(path)
    if known is not None and known.at > run.at and known.schedule == run.schedule:
        return
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_text(json.dumps(run))
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise


def read(where: Path, kind: str, entry: str) -> Run | None:
    """Return what is known, or None."""
    return _read(where / f"{_digest(entry)}.{kind}")


def forget(where: Path, entry: str) -> None:
    """Remove the facts of an entry that no longer exists."""
    for kind in (PUBLISHED, BEGUN, AWAITED):
        with suppress(OSError):
            (where / f"{_digest(entry)}.{kind}").unlink()


def prune(where: Path, entries: Iterable[str], most: int = MOST_FILES) -> int:
    """Remove the oldest facts beyond the most; return how many.

    A schedule in a database may have a new entry for each customer's reminder.

    Args:
        where: Their directory.
        entries: Whose facts stay.
        most: How many files there may be.
    """
    try:
        files = sorted(where.iterdir(), key=_changed)
    except OSError:
        return 0
    removed, excess = 0, len(files) - most
    scheduled = {_digest(entry) for entry in entries} if excess > 0 else set()
    for path in files:
        if removed >= excess:
            break
        if path.name.partition(".")[0] not in scheduled:
            with suppress(OSError):
                path.unlink()
                removed += 1
    return removed


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _digest(entry: str) -> str:
    return blake2s(entry.encode(), digest_size=12).hexdigest()


def _read(path: Path) -> Run | None:
    try:
        entry, at, schedule = json.loads(path.read_text())
        return Run(str(entry), float(at), str(schedule))
    except (OSError, ValueError, TypeError):
        return None
