"""Series of all processes side by side, added column by column, as text.

Each process makes its series in an order of its own. So every series has one place in
a common row, each process a permutation onto that row (applied in C), and a scrape is:
read the slots, permute, add, put the numbers behind prefixes kept from last time.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from watchroom.exporter.processes.histograms import Step, read, steps
from watchroom.exporter.processes.totals import Key, SeriesOfMetric, loss, parts
from watchroom.formats.exposition import header, label_text, normal_edge, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from watchroom.exporter.processes.totals import DeadTotals
    from watchroom.runtime.reader import Reader


class Table:
    """The common row: with the offset of each series.

    Attributes:
        offsets: The first slot of each series.
        size: Slots so far; the first is unused.
    """

    def __init__(self) -> None:
        self.offsets: dict[Key, int] = {}
        self.size = 2  # itemgetter of one offset returns no tuple

    def offset(self, key: Key, slots: int) -> int:
        """Return the offset of a series, made when it is new."""
        at = self.offsets.get(key)
        if at is None:
            at = self.offsets[key] = self.size
            self.size += slots
        return at


class Column:
    """One process' slots (or the totals of the dead), permuted onto the common row."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._order = [-1] * table.size  # -1: the 0.0 that `permuted` appends
        self._pick: Callable[[Sequence[float]], Sequence[float]] = itemgetter(0, 0)
        self._rows = self._drops = 0
        self._stale = True

    def follow(self, reader: Reader) -> None:
        """Take in the series that a file has gained."""
        rows, drops = reader.rows[self._rows :], reader.drops[self._drops :]
        self._rows += len(rows)
        self._drops += len(drops)
        for at, slots, key in parts(rows, drops):
            self._put(at, slots, key)

    def follow_folded(self, folded: DeadTotals) -> tuple[float, ...]:
        """Take in the totals of the dead; returns all their slots."""
        slots: list[float] = []
        for key, some in folded.series.items():
            self._put(len(slots), len(some), key)
            slots += some
        return tuple(slots)

    def _put(self, at: int, slots: int, key: Key) -> None:
        to = self._table.offset(key, slots)
        if len(self._order) < self._table.size:
            self._order += [-1] * (self._table.size - len(self._order))
        self._order[to : to + slots] = range(at, at + slots)
        if (loss_key := loss(key)) is not None:
            # A loss is an increase only if its series was 0 before.
            self._table.offset(loss_key, 1)
        self._stale = True

    def permuted(self, slots: tuple[float, ...]) -> Sequence[float]:
        """Return the slots in the order of the common row."""
        if self._stale or len(self._order) < self._table.size:
            self._order += [-1] * (self._table.size - len(self._order))
            self._pick = itemgetter(*self._order)
            self._stale = False
        return self._pick((*slots, 0.0))


class _Histogram(NamedTuple):
    buckets: list[str]  # line prefixes, +Inf's last
    sum_prefix: str
    count_prefix: str
    parts: list[tuple[int, int, list[Step]]]  # offset, own edges, how to read them


_Family = tuple[str, list[tuple[str, list[int]]], list[_Histogram]]


class Page(NamedTuple):
    """The text of a scrape without its numbers.

    Attributes:
        families: Per metric its header, its single lines as (prefix, places to add),
            its histograms.
        ignored: Groups left out, because younger processes use the name otherwise.
    """

    families: list[_Family]
    ignored: frozenset[SeriesOfMetric]

    def fill(self, row: Sequence[float]) -> str:
        """Return the text with the numbers of a common row."""
        out: list[str] = []
        for head, singles, histograms in self.families:
            out.append(head)
            for prefix, offsets in singles:
                value = row[offsets[0]]
                if len(offsets) > 1:
                    value = sum(row[offset] for offset in offsets)
                # Nearly all are whole, and `number` costs more than the line.
                integral = value.is_integer() and value < 1e15
                out.append(f"{prefix}{int(value) if integral else number(value)}\n")
            for histogram in histograms:
                _fill_histogram(histogram, row, out)
        return "".join(out)


def _fill_histogram(
    histogram: _Histogram, row: Sequence[float], out: list[str]
) -> None:
    counts: list[float] = []
    total = 0.0
    for offset, edges, along in histogram.parts:
        cumulative = read(row[offset : offset + edges + 1], along)
        counts = (
            [a + b for a, b in zip(counts, cumulative, strict=True)]
            if counts
            else cumulative
        )
        total += row[offset + edges + 1]
    out += [
        f"{prefix}{int(count) if count.is_integer() else number(count)}\n"
        for prefix, count in zip(histogram.buckets, counts, strict=True)
    ]
    out.append(f"{histogram.sum_prefix}{number(total)}\n")
    out.append(f"{histogram.count_prefix}{number(counts[-1])}\n")


def page(
    keys: Mapping[Key, int],
    started: Mapping[SeriesOfMetric, float],
    live: frozenset[SeriesOfMetric],
    helps: Mapping[str, str],
) -> Page:
    """Return the page of these series."""
    names: dict[str, dict[Key, int]] = {}
    for key, offset in keys.items():
        names.setdefault(key[0].name, {})[key] = offset

    def age(group: SeriesOfMetric) -> tuple[float, SeriesOfMetric]:
        return started.get(group, 0.0), group

    families: list[_Family] = []
    ignored: set[SeriesOfMetric] = set()
    for name in sorted(names):
        own_keys = names[name]
        groups = sorted(
            {key[0] for key in own_keys}, key=lambda g: (started.get(g, 0.0), g)
        )
        kind = groups[-1].kind
        ignored |= {group for group in groups if group.kind != kind}
        same_kind = {
            key: offset for key, offset in own_keys.items() if key[0].kind == kind
        }
        exposed_kind = "gauge" if kind == "inflight" else kind
        head = header(name, exposed_kind, helps.get(name, ""))
        if kind == "inflight":
            families.append((head, [(f"{name} ", list(same_kind.values()))], []))
        elif kind == "histogram":
            speaking = [g for g in groups if g in live] or groups[-1:]
            edges = sorted({edge for group in speaking for edge in group.edges})
            families.append((head, [], _histograms(name, same_kind, edges)))
        else:
            families.append((head, _singles(name, same_kind), []))
    return Page(families, frozenset(ignored))


def _by_labels(
    keys: Mapping[Key, int],
) -> list[tuple[tuple[tuple[str, str], ...], list[tuple[SeriesOfMetric, int]]]]:
    by_labels: dict[tuple[tuple[str, str], ...], list[tuple[SeriesOfMetric, int]]] = {}
    for (group, values), offset in keys.items():
        labels = tuple(sorted(zip(group.labels, values, strict=True)))
        by_labels.setdefault(labels, []).append((group, offset))
    return sorted(by_labels.items())


def _singles(name: str, keys: Mapping[Key, int]) -> list[tuple[str, list[int]]]:
    return [
        (f"{name}{label_text(labels)} ", [offset for _, offset in offsets])
        for labels, offsets in _by_labels(keys)
    ]


def _histograms(
    name: str, keys: Mapping[Key, int], edges: Iterable[float]
) -> list[_Histogram]:
    edge_list = list(edges)
    histograms = []
    for labels, offsets in _by_labels(keys):
        # `le` as Prometheus 3 stores it, so that older servers hold the same series.
        texts = [*map(normal_edge, map(repr, edge_list)), "+Inf"]
        histograms.append(
            _Histogram(
                [
                    f"{name}_bucket{label_text((*labels, ('le', text)))} "
                    for text in texts
                ],
                f"{name}_sum{label_text(labels)} ",
                f"{name}_count{label_text(labels)} ",
                [
                    (offset, len(group.edges), steps(group.edges, edge_list))
                    for group, offset in offsets
                ],
            )
        )
    return histograms
