"""Whether a new process is a worker of the server, or some other helper."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

# Who forks for a purpose of its own: no server that forks its workers goes through
# these once the app is loaded.
_TOOLS = frozenset(
    {"multiprocessing.popen_fork", "billiard.popen_fork", "subprocess", "pty"}
)
_MAIN = "__main__"


def of_a_helper(building: str) -> bool:
    """Return whether the fork that runs now is the app's own, and no server's.

    A server forks its workers when the app's module has been imported; whatever forks
    while that module runs is a helper that it starts.
    """
    return any(
        name in _TOOLS or (module and name == building)
        for name, module in _callers()
        if name
    )


def building_module() -> str:
    """Return the module whose import calls this, or an empty text.

    The program itself doesn't count: a script that makes the handler and then forks
    workers is a server of its own.
    """
    name = next((name for name, module in _callers() if module), "")
    return "" if name == _MAIN else name


def unpickled() -> bool:
    """Return whether this is a spawned helper that does not yet know its work.

    It imports the app's module to find its function; a server's worker that is spawned
    does so when it runs.
    """
    names = {name for name, _ in _callers()}
    return "multiprocessing.spawn" in names and "multiprocessing.process" not in names


def _callers() -> Iterator[tuple[str, bool]]:
    """Yield the modules that are running, innermost first, and whether as an import."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - documented, no other way
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        yield name, frame.f_code.co_name == "<module>"
        frame = frame.f_back
