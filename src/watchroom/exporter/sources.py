"""Several sources of one exposition: each may fail without the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from watchroom.exporter.failures import Failures
    from watchroom.formats.exposition import Family


class Source(Protocol):
    """Something a scrape asks."""

    @property
    def name(self) -> str:
        """The part of the exporter that it is."""
        ...

    def families(self) -> Sequence[Family]:
        """Return what is known now; never waits for anything."""
        ...


class Sources:
    """Sources beside the app's processes; a failed one is counted and left out."""

    def __init__(self, sources: Iterable[Source], failures: Failures) -> None:
        self._sources = tuple(sources)
        self._failures = failures
        for source in self._sources:
            failures.show(source.name)

    def families(self) -> list[Family]:
        """Return the families of all; samples of the same name in one of them."""
        by_name: dict[str, Family] = {}
        for source in self._sources:
            try:
                families = source.families()
            except Exception as error:  # noqa: BLE001 - a failing part leaves the rest served
                self._failures.count(source.name, error)
                continue
            for family in families:
                before = by_name.get(family.name)
                if before is not None:
                    both = [*before.samples, *family.samples]
                    family = before._replace(samples=both)  # noqa: PLW2901 - merged
                by_name[family.name] = family
        return list(by_name.values())
