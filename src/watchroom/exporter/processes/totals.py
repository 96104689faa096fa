"""What the dead have counted: one file of totals per project, written whole.

A fold is: add the dead files to the totals, write the totals beside the old ones,
rename them into place, unlink the dead files. The totals themselves name the folded
files, so a crash between rename and unlink counts nothing twice.
"""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, NamedTuple

from watchroom.catalogue.metrics import (
    HTTP_IN_FLIGHT,
    HTTP_REQUESTS,
    SERIES_DROPPED,
    TASKS_FAILED,
    TASKS_IN_FLIGHT,
)
from watchroom.errors import FormatError
from watchroom.runtime.reader import definition_of, open_regular, sane, text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from watchroom.runtime.reader import Reader, SlotRow
    from watchroom.runtime.slots import Definition

FORMAT = 1
LOST = "lost"
# A file that another exporter still holds open may not be folded again.
REMEMBER_SECONDS = 3600.0
LARGEST_BYTES = 64 << 20
_BAD = (
    *(ValueError, KeyError, TypeError, IndexError),
    *(AttributeError, OverflowError, RecursionError),
)


class SeriesOfMetric(NamedTuple):
    """Series that may be added: one metric under one definition, whatever its help."""

    name: str
    kind: str
    labels: tuple[str, ...]
    edges: tuple[float, ...]


Key = tuple[SeriesOfMetric, tuple[str, ...]]
DROPPED = SeriesOfMetric(SERIES_DROPPED.name, "counter", SERIES_DROPPED.labels, ())
REQUESTS = SeriesOfMetric(HTTP_REQUESTS.name, "counter", HTTP_REQUESTS.labels, ())
_TASKS = SeriesOfMetric(TASKS_FAILED.name, "counter", TASKS_FAILED.labels, ())
# What the dead held under way is lost: the counter, and its labels after theirs.
_LOSSES = {
    HTTP_IN_FLIGHT.name: (REQUESTS, (LOST,)),
    TASKS_IN_FLIGHT.name: (_TASKS, ()),
}


def group(definition: Definition) -> SeriesOfMetric:
    """Return what a file's definition may be added under."""
    return SeriesOfMetric(
        definition.name, definition.kind, definition.labels, definition.edges
    )


def loss(key: Key) -> Key | None:
    """Return what is counted when a process dies with this in flight, if anything."""
    counter, more = _LOSSES.get(key[0].name, (None, ()))
    if counter is None or key[0].kind != "inflight":
        return None
    # A file may say anything: labels that do not fit would fail every scrape.
    values = (*key[1], *more)
    return (counter, values) if len(values) == len(counter.labels) else None


def parts(
    rows: Iterable[SlotRow], drops: Iterable[SlotRow]
) -> Iterator[tuple[int, int, Key]]:
    """Yield where a file's slots begin, how many they are, and what they count for."""
    for row in rows:
        yield row.at, row.definition.slots, (group(row.definition), row.values)
    for row in drops:
        yield row.at, 1, (DROPPED, (row.definition.name,))


class DeadTotals:
    """The totals of the dead.

    Attributes:
        series: Slots by key.
        names: When each file was folded, by its name.
        started: Epoch seconds of the youngest process folded, by group.
        helps: The help of that process, by metric.
        resets: How often totals had to begin again.
    """

    def __init__(self) -> None:
        self.series: dict[Key, list[float]] = {}
        self.names: dict[str, float] = {}
        self.started: dict[SeriesOfMetric, float] = {}
        self.helps: dict[str, str] = {}
        self.resets = 0.0

    def copy(self) -> DeadTotals:
        """Return totals that change apart from these."""
        copied = DeadTotals()
        copied.series = {key: list(slots) for key, slots in self.series.items()}
        copied.names = dict(self.names)
        copied.started = dict(self.started)
        copied.helps = dict(self.helps)
        copied.resets = self.resets
        return copied

    def take(self, reader: Reader, now: float) -> None:
        """Add what a dead process has counted; what was in flight is lost."""
        if reader.name in self.names:
            return
        reader.check()
        values = reader.read()
        for at, slots, to in parts(reader.rows, reader.drops):
            part = values[at : at + slots]
            if (loss_key := loss(to)) is not None:
                part = (max(0.0, part[0]),)
                to = loss_key  # noqa: PLW2901 - the same part
            total = self.series.setdefault(to, [0.0] * slots)
            for step in range(slots):
                total[step] += part[step]
        for definition in reader.definitions:
            metric = group(definition)
            if reader.started >= self.started.get(metric, 0.0):
                self.started[metric] = reader.started
                self.helps[definition.name] = definition.help
        self.names[reader.name] = now
        if reader.replaces is not None:
            self.names[reader.replaces] = now

    def save(self, path: Path, now: float) -> None:
        """Write the totals, whole or not at all.

        Raises:
            OSError: No room, no permission, no directory; the old file stands.
        """
        known = {
            name: at
            for name, at in self.names.items()
            if now - at < REMEMBER_SECONDS or (path.parent / name).exists()
        }
        groups = {metric: number for number, metric in enumerate(self.started)}
        for metric, _ in self.series:
            groups.setdefault(metric, len(groups))
        text = json.dumps(
            {
                "format": FORMAT,
                "names": known,
                "resets": self.resets,
                "helps": self.helps,
                "groups": [
                    [*metric, self.started.get(metric, 0.0)] for metric in groups
                ],
                "series": [
                    [groups[metric], values, slots]
                    for (metric, values), slots in self.series.items()
                ],
            }
        )
        new = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            with open(  # noqa: PTH123 - the mode of the descriptor
                os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o660), "w"
            ) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            new.rename(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        self.names = known


def load(path: Path) -> DeadTotals:
    """Return the totals in a file.

    Raises:
        FormatError: It is not a totals file, or of another format.
        OSError: It cannot be read.
    """
    totals = DeadTotals()
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            text = file.read(LARGEST_BYTES + 1)
        if len(text) > LARGEST_BYTES:
            raise FormatError(f"{path} has more than {LARGEST_BYTES} bytes")
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise FormatError(f"{path} has format {content['format']!r}")
        definitions = []
        for name, kind, labels, edges, started in content["groups"]:
            definition = definition_of(name, kind, labels, edges)
            definitions.append(definition)
            if started:
                totals.started[group(definition)] = _finite(started)
        for number, values, slots in content["series"]:
            of, counts = definitions[number], [float(x) for x in slots]
            fits = len(counts) == of.slots and len(values) == len(of.labels)
            if not fits or not sane(counts):
                raise FormatError(f"{path}: a series doesn't match its metric")
            totals.series[group(of), tuple(map(text_of, values))] = counts
        totals.names = {str(k): _finite(v) for k, v in content["names"].items()}
        totals.helps = {text_of(k): text_of(v) for k, v in content["helps"].items()}
        totals.resets = _finite(content["resets"])
    except _BAD as error:
        raise FormatError(f"{path} has no totals") from error
    return totals


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("not finite")
    return float(value)
