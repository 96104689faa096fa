"""From a target's text to one row of the store: labels, stale markers, limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchroom.errors import FormatError
from watchroom.formats import exposition
from watchroom.promql.model import STALE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from watchroom.promql.model import Labels

REPORTS = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)

LONGEST_VALUE = 16_384
"""Characters of one label value; series are held in memory, and bounded by number."""


# What a series text begins with whose labels are not read as its own type would: none
# of them, or only the one, is a number.
_AS = {"\0": (), "\1": ("le",), "\2": ("quantile",)}


class ScrapedRow(NamedTuple):
    """One scrape, ready for the store: what was exposed, and what went stale.

    Attributes:
        stamped: Samples with a time of their own: labels, value, milliseconds.
    """

    labels: Sequence[Labels]
    values: NDArray[np.float64]
    scraped: int
    added: int
    stamped: Sequence[tuple[Labels, float, int]] = ()


class TargetSeries:
    """What one target exposed last, so that series text is read once.

    Args:
        labels: The target's own labels, sorted, without ``__name__``.
        honor_labels: Whether exposed labels win over the target's.
        honor_timestamps: Whether a sample keeps the time that it came with.
        track_staleness: Whether such a series ends when it is gone from a scrape.
        sample_limit: The most samples a scrape may have; 0 = no limit.
    """

    def __init__(
        self,
        labels: Labels,
        *,
        honor_labels: bool = False,
        honor_timestamps: bool = True,
        track_staleness: bool = False,
        sample_limit: int = 0,
    ) -> None:
        self._target = dict(labels)
        self._honor = honor_labels
        self._honor_timestamps = honor_timestamps
        self._track = track_staleness
        self._limit = sample_limit
        self._stamped: dict[str, Labels] = {}
        self._cache: dict[str, Labels] = {}
        self._texts: list[str] = []
        self._live: list[Labels] = []
        self._with_reports: list[Labels] = []
        self.ignored_timestamps = 0
        self._reports = [
            tuple(sorted({**self._target, "__name__": name}.items()))
            for name in REPORTS
        ]

    def read(self, text: str) -> ScrapedRow:
        """Return the row for a body; series gone since the last one are stale in it.

        Raises:
            FormatError: The body is not exposition text, or exceeds a limit; then
                nothing of it counts and :meth:`fail` is the next thing to call.
        """
        try:
            return self._read(text)
        except FormatError as error:
            raise _located(error, text) from error

    def _read(self, text: str) -> ScrapedRow:
        texts: list[str] = []
        numbers: list[str] = []
        stamped: list[tuple[str, str, int]] = []
        for series, number, timestamp, kind in exposition.split(text):
            series_text = _marked(series, kind)
            if timestamp is not None:
                if self._honor_timestamps:
                    stamped.append((series_text, number, timestamp))
                    continue
                self.ignored_timestamps += 1
            texts.append(series_text)
            numbers.append(number)
        count = len(texts) + len(stamped)
        if self._limit and count > self._limit:
            raise FormatError(
                f"sample limit exceeded: {count} samples, {self._limit} allowed "
                "(sample_limit of the job in prometheus.yml)"
            )
        values = _floats(texts, numbers)
        if not stamped and not self._stamped:
            return self._row(texts, values)
        return self._with_stamped(texts, values, stamped)

    def _row(self, texts: list[str], values: NDArray[np.float64]) -> ScrapedRow:
        if texts == self._texts:
            return ScrapedRow(self._live, values, len(texts), 0)
        return self._changed(texts, values)

    def _with_stamped(
        self,
        texts: list[str],
        values: NDArray[np.float64],
        stamped: list[tuple[str, str, int]],
    ) -> ScrapedRow:
        """Return the row with the samples that had timestamps of their own."""
        previous = self._stamped
        names = [text for text, _, _ in stamped]
        amounts = _floats(names, [number for _, number, _ in stamped]).tolist()
        fresh = {text: previous.get(text) or self._labels(text) for text in names}
        row = self._row(texts, values)
        ended: list[Labels] = []
        if self._track:
            present = {*fresh.values(), *row.labels}
            ended = [labels for labels in previous.values() if labels not in present]
        self._stamped = fresh
        samples = [
            (fresh[text], value, at_ms)
            for (text, _, at_ms), value in zip(stamped, amounts, strict=True)
        ]
        if ended:
            row = row._replace(
                labels=[*row.labels, *ended],
                values=np.concatenate([row.values, np.full(len(ended), STALE)]),
            )
        return row._replace(
            scraped=row.scraped + len(stamped),
            added=row.added + sum(text not in previous for text in fresh),
            stamped=samples,
        )

    def _changed(self, texts: list[str], values: NDArray[np.float64]) -> ScrapedRow:
        cached = self._cache
        fresh = {text: cached.get(text) or self._labels(text) for text in texts}
        labels: list[Labels] = []
        keep: list[int] = []
        seen: set[Labels] = set()
        for index, text in enumerate(texts):
            series_labels = fresh[text]
            if series_labels not in seen:  # a repeated series: its first sample counts
                seen.add(series_labels)
                labels.append(series_labels)
                keep.append(index)
        before = set(self._live)
        ended = [series for series in self._live if series not in seen]
        added = len(seen) - (len(before) - len(ended))
        if len(keep) != len(texts):
            values = values[keep]
            # Not the fast path next time: rows and texts differ in length.
            self._texts = []
        else:
            self._texts = texts
        self._cache, self._live, self._with_reports = fresh, labels, []
        if ended:
            return ScrapedRow(
                labels + ended,
                np.concatenate([values, np.full(len(ended), STALE)]),
                len(texts),
                added,
            )
        return ScrapedRow(labels, values, len(texts), added)

    def fail(self) -> ScrapedRow:
        """Return the row that makes every live series stale; none is live after it."""
        ended = self._live
        if self._track:
            ended = [*ended, *self._stamped.values()]
        self._stamped = {}
        self._live, self._texts, self._with_reports = [], [], []
        return ScrapedRow(ended, np.full(len(ended), STALE), 0, 0)

    def with_reports(self, row: ScrapedRow, *, up: bool, seconds: float) -> ScrapedRow:
        """Return `row` with the five series the scraper itself reports."""
        scraped = float(row.scraped)
        reports = (float(up), seconds, scraped, scraped, row.added)
        # The same list object shows the store that no series changed.
        same = row.labels is self._live and self._with_reports
        labels = self._with_reports if same else [*row.labels, *self._reports]
        if row.labels is self._live:
            self._with_reports = labels
        return row._replace(
            labels=labels,
            values=np.concatenate([row.values, np.array(reports, dtype=np.float64)]),
        )

    def end(self) -> ScrapedRow:
        """Return the row that ends everything of this target, its reports too."""
        row = self.fail()
        labels = [*row.labels, *self._reports]
        return ScrapedRow(labels, np.full(len(labels), STALE), 0, 0)

    def _labels(self, text: str) -> Labels:
        edges = _AS.get(text[:1], exposition.EDGES)
        try:
            exposed = dict(exposition.series(text.lstrip("\0\1\2"), edges))
        except FormatError as error:
            raise _SeriesError(text, str(error)) from error
        if len(text) > LONGEST_VALUE:
            for name, value in exposed.items():
                if len(value) > LONGEST_VALUE:
                    raise _SeriesError(
                        text,
                        f"the value of the label {name[:40]!r} has {len(value)} "
                        f"characters, {LONGEST_VALUE} are allowed",
                    )
        return merge(exposed, self._target, honor=self._honor)


def merge(
    exposed: Mapping[str, str], target: Mapping[str, str], *, honor: bool
) -> Labels:
    """Return the labels of a stored series from the exposed and the target's.

    Where both have a label, the target's wins and the exposed one is kept as
    ``exported_<name>``; with `honor` the exposed one wins. Empty values are absent.
    """
    if honor:
        merged = {**target, **{n: v for n, v in exposed.items() if v or n in target}}
    else:
        merged = dict(target)
        for name, value in exposed.items():
            if name not in target:
                merged.setdefault(name, value)
        for name, value in exposed.items():
            if name in target and value:
                renamed = f"exported_{name}"
                while renamed in merged or renamed in exposed:
                    renamed = f"exported_{renamed}"
                merged[renamed] = value
    return tuple(sorted((name, value) for name, value in merged.items() if value))


def _marked(series: str, kind: str) -> str:
    """Return a series text marked with how its labels are to be read."""
    if kind == "histogram":
        return f"\1{series}" if "quantile" in series else series
    if kind == "summary":
        return f"\2{series}" if "le" in series else series
    return f"\0{series}" if "le" in series or "quantile" in series else series


class _SeriesError(FormatError):
    """A sample line is wrong; its series text is in place of the line's number."""

    def __init__(self, series: str, why: str) -> None:
        super().__init__(why)
        self.series = series


def _located(error: FormatError, text: str) -> FormatError:
    """Return the error with the number of the line it is about, where it has one."""
    if not isinstance(error, _SeriesError):
        return error
    series = error.series.lstrip("\0\1\2")
    for at, line in enumerate(text.split("\n"), 1):
        if line.startswith(series):
            return FormatError(f"line {at}: {error}")
    return error


def _floats(texts: Sequence[str], numbers: Sequence[str]) -> NDArray[np.float64]:
    """Return the values, naming the first one that is not a number."""
    try:
        values = np.array([float(number) for number in numbers], dtype=np.float64)
    except ValueError:
        values = None
    if values is None or any("_" in number for number in numbers):
        for text, number in zip(texts, numbers, strict=True):
            if not _is_number(number):
                raise _SeriesError(text, f"{number[:40]!r} is not a number")
    if values is None:
        raise FormatError("a value is not a number")
    nan = np.isnan(values)
    if nan.any():
        values[nan] = np.nan  # exposed bits must never read as a stale marker
    return values


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
