"""The exporter's own failures: counted every time, logged once."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from watchroom.formats.exposition import Family, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("watchroom.exporter")


class Faults:
    """Counts failures by part, and logs one line when a part's failure changes.

    Args:
        parts: The parts that are shown at 0 before they ever fail.
    """

    def __init__(self, parts: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(parts, 0)
        self._said: dict[str, str] = {}

    def count(self, part: str, error: object) -> None:
        """Count a failure of `part`; the same text is logged once until it clears."""
        text = str(error)
        if isinstance(error, Exception):
            text = f"{type(error).__name__}: {error}"
        with self._lock:
            self._counts[part] = self._counts.get(part, 0) + 1
            known = self._said.get(part) == text
            self._said[part] = text
        if not known:
            log.warning("%s: %s", part, text)

    def clear(self, part: str) -> None:
        """Note that `part` works; said once if it had failed."""
        with self._lock:
            failed = self._said.pop(part, None)
        if failed is not None:
            log.info("%s: works again", part)

    def family(self) -> Family:
        """Return watchroom_exporter_errors_total."""
        name = "watchroom_exporter_errors_total"
        with self._lock:
            counts = sorted(self._counts.items())
        samples = [Sample(name, (("part", part),), float(n)) for part, n in counts]
        return Family(name, "counter", "Failures of the exporter, by part.", samples)
