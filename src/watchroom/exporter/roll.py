"""Who is seen: processes by role and user, and those that keep to another directory.

PrivateTmp, another user or another WATCHROOM_RUNTIME_DIR make a process write where
nobody reads; that is found by looking where the rule would lead other users.
"""

from __future__ import annotations

import os
import pwd
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from watchroom.errors import FormatError
from watchroom.formats import rundir
from watchroom.formats.slotreader import Reader
from watchroom.formats.slots import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_FILES = 5000


def roll(directory: Path, project: str) -> dict[str, Any]:
    """Return the living processes of a project, and where others of it may be.

    Args:
        directory: The exporter's runtime directory.
        project: As in file names.
    """
    found: dict[str, Any] = {
        "directory": str(directory),
        "processes": _living(directory, project),
        "elsewhere": [],
    }
    for other in _others(directory, project):
        if (seen := _living(other, project)) or not os.access(other, os.R_OK):
            found["elsewhere"].append({"directory": str(other), "processes": seen})
    return found


def _others(directory: Path, project: str) -> Iterator[Path]:
    name = rundir.safe(project)
    candidates = [
        rundir.SYSTEM / name,
        *sorted(rundir.MEMORY.glob(f"watchroom-*-{name}")),
    ]
    for path in candidates:
        with suppress(OSError):
            if path.is_dir() and not path.samefile(directory):
                yield path


def _living(directory: Path, project: str) -> list[dict[str, Any]]:
    counts: Counter[tuple[str, str]] = Counter()
    prefix = f"{rundir.safe(project)}."
    with suppress(OSError):
        for at, entry in enumerate(os.scandir(directory)):
            if at >= _MOST_FILES:
                break
            if entry.name.startswith(prefix) and entry.name.endswith(SUFFIX):
                with suppress(OSError, FormatError):
                    counts.update([_one(directory / entry.name)])
    counts.pop(("", ""), None)
    return [
        {"role": role, "user": user, "count": count}
        for (role, user), count in sorted(counts.items())
    ]


def _one(path: Path) -> tuple[str, str]:
    reader = Reader(path)
    try:
        return (reader.role, _user(path)) if reader.alive() else ("", "")
    finally:
        reader.close()


def _user(path: Path) -> str:
    owner = path.stat().st_uid
    try:
        return pwd.getpwuid(owner).pw_name
    except KeyError:
        return str(owner)
