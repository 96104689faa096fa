"""Who is seen: processes by role and user, and those that keep to another directory.

PrivateTmp, another user or another WATCHROOM_RUNTIME_DIR make a process write where
nobody reads; that is found by looking where the rule would lead other users. Another
ENVIRONMENT does it too, rightly so in another deployment of the project; so that is
reported only where no process is seen.
"""

from __future__ import annotations

import os
import pwd
from collections import Counter
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from watchroom.errors import FormatError
from watchroom.runtime import directory as rundir
from watchroom.runtime.reader import Reader
from watchroom.runtime.slots import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from watchroom.conf import Settings

_MOST_FILES = 5000


def roll(directory: Path, settings: Settings) -> dict[str, Any]:
    """Return the living processes of a deployment, and where others of it may be."""
    name = settings.name
    report: dict[str, Any] = {
        "directory": str(directory),
        "processes": _living(directory, name),
        "elsewhere": [],
        "namesakes": [],
    }
    for other, _ in _others(directory, name):
        if (processes := _living(other, name)) or not os.access(other, os.R_OK):
            report["elsewhere"].append(
                {"directory": str(other), "processes": processes}
            )
    if not report["processes"]:
        project = rundir.deployment(settings.project, rundir.PRODUCTION)
        report["namesakes"] = [
            {"name": other, "directory": str(where), "processes": processes}
            for where, other in _namesakes(directory, project)
            if other != name and (processes := _living(where, other))
        ]
    return report


def _others(directory: Path, name: str) -> Iterator[tuple[Path, str]]:
    """Yield where the rule leads others of a name (a pattern), and their names."""
    system = [(path, path.name) for path in sorted(rundir.SYSTEM.glob(name))]
    memory = [
        (path, path.name.split("-", 2)[2])
        for path in sorted(rundir.MEMORY.glob(f"watchroom-*-{name}"))
    ]
    for path, deployment in system + memory:
        with suppress(OSError):
            own = directory.exists() and path.samefile(directory)
            if fnmatchcase(deployment, name) and path.is_dir() and not own:
                yield path, deployment


def _namesakes(directory: Path, project: str) -> Iterator[tuple[Path, str]]:
    names = {path.name.partition(".")[0] for path in directory.glob(f"*{SUFFIX}")}
    for name in sorted(names):
        if name == project or name.startswith(f"{project}-"):
            yield directory, name
    yield from _others(directory, project)
    yield from _others(directory, f"{project}-*")


def _living(directory: Path, name: str) -> list[dict[str, Any]]:
    counts: Counter[tuple[str, str]] = Counter()
    prefix = f"{name}."
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
