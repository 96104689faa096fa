"""The exporter's own failures: counted every time, logged once."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from watchroom.conf import redaction
from watchroom.errors import WatchroomError
from watchroom.formats.exposition import Family, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger("watchroom.exporter")


class Failures:
    """Counts failures by part, and logs one line when a part's failure changes.

    Args:
        parts: The parts that are shown at 0 before they ever fail.
        metric: The name of the counter.
        label: What a part is called in it.
    """

    def __init__(
        self,
        parts: Iterable[str] = (),
        metric: str = "watchroom_exporter_errors_total",
        label: str = "part",
    ) -> None:
        self._metric = metric
        self._label = label
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(parts, 0)
        self._last_text: dict[str, str] = {}

    def count(self, part: str, error: object) -> None:
        """Count a failure of `part`; the same text is logged once until it clears."""
        text = str(error)
        # Our own errors are sentences; others' need their type to be one.
        if isinstance(error, Exception) and not isinstance(error, WatchroomError):
            text = f"{type(error).__name__}: {error}"
        with self._lock:
            self._counts[part] = self._counts.get(part, 0) + 1
            known = self._last_text.get(part) == text
            self._last_text[part] = text
        if not known:
            log.warning("%s: %s", self._name(part), redaction.clean(text))

    def show(self, part: str) -> None:
        """Show `part`, at 0 unless it failed already."""
        with self._lock:
            self._counts.setdefault(part, 0)

    def clear(self, part: str) -> None:
        """Note that `part` works; logged once if it had failed."""
        with self._lock:
            failed = self._last_text.pop(part, None)
        if failed is not None:
            log.info("%s: works again", self._name(part))

    def family(self) -> Family:
        """Return the counter."""
        with self._lock:
            counts = sorted(self._counts.items())
        samples = [
            Sample(self._metric, ((self._label, part),), float(count))
            for part, count in counts
        ]
        text = f"Failures, by {self._label}."
        return Family(self._metric, "counter", text, samples)

    def _name(self, part: str) -> str:
        return part if self._label == "part" else f"{self._label} {part}"
