"""Whether those that are counted together run the code of one deployment.

Two deployments whose settings say the same names share a directory, and their counts
are added up. Where their code is tells them apart. A deploy may move the code, and old
and new processes then live side by side for a while: that is nothing to speak of.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from watchroom.runtime.reader import Reader

_LOG = logging.getLogger("watchroom.exporter")
# Longer than a stopping worker may take to finish its task.
OVERLAP_SECONDS = 900.0


class Origins:
    """Follows from where the living processes import the project.

    Args:
        own: From where this exporter does; empty when it is not to be compared.
        now: Epoch seconds.
    """

    def __init__(self, own: str, now: float) -> None:
        self._own = (own, now)
        self._since: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._logged: set[str] = set()

    def see(self, living: Iterable[Reader], now: float) -> None:
        """Take note of who lives, and log it once when they do not belong together."""
        own, begun = self._own
        first = {own: begun} if own else {}
        counts = dict.fromkeys(first, 0)
        for reader in living:
            if reader.code_directory:
                counts[reader.code_directory] = counts.get(reader.code_directory, 0) + 1
                first[reader.code_directory] = min(
                    reader.started, first.get(reader.code_directory, reader.started)
                )
        # Known times stay: all processes of a directory may be young again and again.
        self._since = {
            directory: self._since.get(directory, first[directory])
            for directory in first
        }
        self._counts = counts
        mixed = {entry["directory"] for entry in self.mixed(now)}
        if mixed and mixed != self._logged:
            _LOG.warning(
                "processes that run code from several directories are counted as one "
                "app: %s. If these are two deployments, give each its own PROJECT or "
                "ENVIRONMENT. If one is an old release, stop it, and restart this "
                "exporter after each deploy.",
                ", ".join(sorted(mixed)),
            )
        self._logged = mixed

    def mixed(self, now: float | None = None) -> list[dict[str, Any]]:
        """Return the places and their processes when there are several for long."""
        now = time.time() if now is None else now
        if len(self._since) < 2 or now - max(self._since.values()) < OVERLAP_SECONDS:
            return []
        return [
            {
                "directory": directory,
                "processes": count,
                "exporter": directory == self._own[0],
            }
            for directory, count in sorted(self._counts.items())
        ]
