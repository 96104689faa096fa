"""Where the state directory of a monitor is: the monitor and every command agree."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


_SYSTEM = Path("/var/lib")  # where systemd puts StateDirectory=


def state_path(directory: str | None, name: str, env: Mapping[str, str]) -> Path:
    """Return the state directory: as given, from systemd, or of the XDG kind."""
    if directory:
        return Path(directory)
    if env.get("STATE_DIRECTORY"):
        return Path(env["STATE_DIRECTORY"].split(":")[0])
    home = env.get("XDG_STATE_HOME") or str(Path(env.get("HOME", "~")) / ".local/state")
    return Path(home).expanduser() / "watchroom" / (name or "default")


def states_of(name: str, env: Mapping[str, str]) -> list[Path]:
    """Return the state directories that a command on this machine may mean.

    Args:
        name: Of the deployment; without one, every directory here is meant.
        env: The environment.
    """
    own = state_path(None, name, env)
    if env.get("STATE_DIRECTORY"):
        return [own]
    homes = own.parent, _SYSTEM / "watchroom"
    if name:
        return [home / name for home in homes]
    directories = []
    for home in homes:
        with suppress(OSError):
            directories += sorted(home.iterdir())
    return directories
