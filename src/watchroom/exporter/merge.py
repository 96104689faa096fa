"""The sum over processes: live files, dead ones folded into a base, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Merger:
    """Reads what the processes of one project left in its runtime directory.

    Args:
        runtime_dir: As `watchroom.conf.runtime_dir` finds it; need not exist.
        project: Whose files to read.
    """

    def __init__(self, runtime_dir: Path, project: str) -> None:
        self._dir = runtime_dir
        self._project = project

    def render(self) -> str:
        """Return the exposition text of all metrics of the project's processes."""
        raise NotImplementedError

    def processes(self) -> dict[str, int]:
        """Return the live processes by role; ``web`` and ``worker`` always stand."""
        raise NotImplementedError
