"""What a scrape of the exporter is made of: the app, what it asks, itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from watchroom import exporter
from watchroom.errors import WatchroomError
from watchroom.formats.exposition import Family, Sample, render

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.exporter.drills import Drills
    from watchroom.exporter.failures import Failures
    from watchroom.exporter.sources import Sources

PARTS = ("merge", "probe", "http")


class UnreadableError(WatchroomError):
    """The processes' files cannot be summed: no answer is better than a wrong one.

    Zeros would be read as a restart of every counter and as a dead app; a scrape that
    fails is TargetDown, which names what is wrong.
    """


class App(Protocol):
    """The merged numbers of the app's processes."""

    def render(self) -> str:
        """Return an exposition."""
        ...


class Scrape(NamedTuple):
    """Everything a scrape asks."""

    app: App | None
    sources: Sources
    drills: Drills
    failures: Failures
    refused: Callable[[], int]

    def render(self) -> str:
        """Return the exposition of the exporter.

        Raises:
            UnreadableError: The app's part failed.
        """
        began = time.perf_counter()
        text = self._app()
        return text + render([*self.sources.families(), *self._own(began)])

    def _app(self) -> str:
        if self.app is None:
            return ""
        try:
            text = self.app.render()
        except Exception as error:
            self.failures.count("merge", error)
            raise UnreadableError(f"the app's files: {type(error).__name__}") from error
        self.failures.clear("merge")
        return text

    def _own(self, began: float) -> list[Family]:
        version = (("version", exporter.version()),)
        return [
            self.failures.family(),
            _one("watchroom_exporter_info", "gauge", "Constantly 1.", 1.0, version),
            _one(
                "watchroom_exporter_refused_connections_total",
                "counter",
                "Connections closed or refused because too many were open.",
                float(self.refused()),
            ),
            _one(
                "watchroom_exporter_drills",
                "gauge",
                "Running drills.",
                float(self.drills.running()),
            ),
            _one(
                "watchroom_exporter_dropped_receipts_total",
                "counter",
                "Drill notifications that were dropped because there were too many.",
                float(self.drills.dropped_receipts),
            ),
            _one(
                "watchroom_exporter_scrape_duration_seconds",
                "gauge",
                "Time to make this response.",
                time.perf_counter() - began,
            ),
        ]


def _one(
    name: str,
    kind: str,
    text: str,
    value: float,
    labels: tuple[tuple[str, str], ...] = (),
) -> Family:
    return Family(name, kind, text, [Sample(name, labels, value)])
