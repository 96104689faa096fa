"""Which blocks there are: references small enough to keep for every block on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray


class Times(NamedTuple):
    """A timestamp column on disk, shared by the blocks of one target."""

    id: int
    target: int
    first_ms: int
    last_ms: int
    columns: int
    bytes: int


@dataclass(eq=False)
class Layout:
    """Which series the rows of blocks are: ids of one metric, ascending."""

    id: int
    metric: str
    series: NDArray[np.int64]


class BlockRef(NamedTuple):
    """One block on disk."""

    id: int
    times: Times
    layout: Layout
    bytes: int


_Targets = dict[int, tuple[BlockRef, ...]]


class Blocks:
    """All blocks by metric and target, oldest first; never changed, only replaced."""

    def __init__(self, families: Mapping[str, _Targets] | None = None) -> None:
        self._families: dict[str, _Targets] = dict(families or {})

    def of(self, metric: str) -> Mapping[int, tuple[BlockRef, ...]]:
        """Return the blocks of a metric by target."""
        return self._families.get(metric, {})

    def __iter__(self) -> Iterator[BlockRef]:
        for targets in self._families.values():
            for blocks in targets.values():
                yield from blocks

    def changed(
        self, added: Iterable[BlockRef], gone: frozenset[int] = frozenset()
    ) -> Blocks:
        """Return these blocks with `added`, without those whose times are `gone`."""
        families = dict(self._families)
        if gone:
            for metric, targets in self._families.items():
                remaining = {
                    target: tuple(ref for ref in blocks if ref.times.id not in gone)
                    for target, blocks in targets.items()
                }
                families[metric] = {k: v for k, v in remaining.items() if v}
        by_metric: dict[str, dict[int, list[BlockRef]]] = {}
        for block in added:
            refs_by_target = by_metric.setdefault(block.layout.metric, {})
            refs_by_target.setdefault(block.times.target, []).append(block)
        for metric, lists in by_metric.items():
            families[metric] = dict(families.get(metric, {}))
            for target, more in lists.items():
                blocks = (*families[metric].get(target, ()), *more)
                families[metric][target] = tuple(
                    sorted(blocks, key=lambda ref: ref.times.first_ms)
                )
        return Blocks({metric: t for metric, t in families.items() if t})
