"""Where the processes of one deployment leave their files: one rule for all of them.

Standard library only, no Django: the web process, the worker and the exporter must
come to the same directory, each by itself.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from watchroom.errors import ConfigError
from watchroom.runtime.filesystem import network_filesystem

PRODUCTION = "production"
MODE = 0o2770
SYSTEM = Path("/run/watchroom")
MEMORY = Path("/dev/shm")  # noqa: S108 - the name below it is ours, its owner is checked


def deployment(project: str, environment: str) -> str:
    """Return what files are named by: the same in every process of one deployment.

    Settings say it, and nothing else: a path is another after the next release.
    """
    if environment == PRODUCTION:
        return safe(project)
    return f"{safe(project)}-{safe(environment)}"


def locate(name: str, explicit: str | Path | None = None) -> Path:
    """Return the runtime directory of a deployment; it need not exist yet.

    Args:
        name: As `deployment` returns it.
        explicit: WATCHROOM_RUNTIME_DIR or the setting RUNTIME_DIR, if given.
    """
    if explicit:
        return Path(explicit).absolute()
    system = SYSTEM / name
    if os.access(system if system.exists() else SYSTEM, os.W_OK | os.X_OK):
        return system
    return MEMORY / f"watchroom-{os.getuid()}-{name}"


def prepare(path: Path) -> None:
    """Make the runtime directory, or check the one that is there.

    Raises:
        ConfigError: It lies on a network file system, or belongs to another user.
        OSError: It cannot be made.
    """
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        status = path.lstat()
        trusted = path.parent != MEMORY or (
            stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
        )
        if not trusted:
            raise ConfigError(
                "the runtime directory belongs to another user",
                file=path,
                hint="remove it, or set WATCHROOM_RUNTIME_DIR",
            ) from None
    else:
        path.chmod(MODE)
    if kind := network_filesystem(path):
        raise ConfigError(
            f"the runtime directory is on {kind}, whose file locks aren't reliable",
            file=path,
            hint="set WATCHROOM_RUNTIME_DIR to a local directory, preferably on tmpfs",
        )


def safe(name: str) -> str:
    """Return a name that is safe in a file name: letters, digits, ``_``, ``-``."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)[:64] or "django"
