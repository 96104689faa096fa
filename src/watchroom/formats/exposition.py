"""The text exposition format 0.0.4: render what we serve, read what others serve.

Source: prometheus.io, "Exposition formats". Standard library only: the exporter runs
in the app's image.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

EDGES = ("le", "quantile")
EDGE_OF = {"histogram": ("le",), "summary": ("quantile",)}
"""The label that holds a number, by the type of the metric."""

Labels = tuple[tuple[str, str], ...]

# Possessive and unrolled: 5,000 lines of a histogram take 6 ms where the plain form of
# the same expression took 14, and no line can make it backtrack.
_LINE = re.compile(
    r"""
    [ \t]*+
    ([a-zA-Z_:][a-zA-Z0-9_:]*+                      # the name
     (?:[ \t]*+\{[^"{}]*+                           # labels, quotes respected
        (?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}]*+)*+
     \})?+)
    (?:(?<=\})|(?=[ \t]))[ \t]*+(\S++)              # the value
    (?:[ \t]++(-?\d++))?+                           # milliseconds
    (?:[ \t]*+\#[ ].*+)?+                           # an exemplar (OpenMetrics): skipped
    [ \t]*+\r?
    """,
    re.VERBOSE,
)
_LABEL = re.compile(
    r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\.)*)"[ \t]*(,|$)'
)
_ESCAPE = re.compile(r"\\(.)")


class Sample(NamedTuple):
    """One line of an exposition.

    Attributes:
        name: The metric's name, with its suffix (``_bucket``, ``_total``).
        labels: Sorted by name, without ``__name__``.
        value: Any float.
        timestamp_ms: As exposed, or None.
    """

    name: str
    labels: Labels
    value: float
    timestamp_ms: int | None = None


class Family(NamedTuple):
    """The samples of one metric.

    Attributes:
        name: The name that HELP and TYPE lines carry.
        kind: ``counter``, ``gauge``, ``histogram``, ``summary`` or ``untyped``.
        help: One line for people.
        samples: In the order they are served.
    """

    name: str
    kind: str
    help: str
    samples: Sequence[Sample]


def family(
    name: str, kind: str, text: str, rows: Iterable[tuple[Labels, float]]
) -> Family:
    """Return a metric whose samples all bear its own name: labels and value a row."""
    samples = [Sample(name, labels, float(value)) for labels, value in rows]
    return Family(name, kind, text, samples)


def number(value: float) -> str:
    """Return a value as Go's exporters write it: ``3``, ``0.25``, ``+Inf``, ``NaN``."""
    if value != value:  # noqa: PLR0124 - NaN
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e15:
        return str(int(value)) if value or math.copysign(1, value) > 0 else "-0"
    return repr(value)


def label_text(labels: Iterable[tuple[str, str]]) -> str:
    """Return ``{a="1",b="2"}`` with values escaped, or nothing without labels."""
    inner = ",".join(f'{name}="{escape(value)}"' for name, value in labels)
    return f"{{{inner}}}" if inner else ""


def escape(value: str) -> str:
    """Escape a label value."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def header(name: str, kind: str, text: str) -> str:
    """Return the HELP and TYPE lines of a metric."""
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {name} {escaped}\n# TYPE {name} {kind}\n"


def render(families: Iterable[Family]) -> str:
    """Return the exposition of `families`."""
    parts = []
    for family in families:
        parts.append(header(family.name, family.kind, family.help))
        for name, labels, value, timestamp in family.samples:
            when = "" if timestamp is None else f" {timestamp}"
            parts.append(f"{name}{label_text(labels)} {number(value)}{when}\n")
    return "".join(parts)


class SampleLine(NamedTuple):
    """A sample line, not read further than its parts.

    Attributes:
        series: Name and labels as they were written.
        value: As it was written.
        timestamp_ms: As exposed, or None.
        kind: The type that the last TYPE line named, or "".
    """

    series: str
    value: str
    timestamp_ms: int | None
    kind: str


def split(text: str) -> Iterator[SampleLine]:
    """Yield the parts of each sample line.

    The series text is stable from scrape to scrape, so that a scraper can look it up
    instead of parsing its labels again.

    Raises:
        FormatError: A line is not a sample, a comment or blank; it names the line.
    """
    match, kind = _LINE.fullmatch, ""
    for at, line in enumerate(text.split("\n"), 1):
        if not line or line[0] == "#":
            if line.startswith("# TYPE "):
                kind = line.split()[-1]
            continue
        fields = match(line)
        if fields is None:
            if not line.strip() or line.lstrip()[0] == "#":
                continue
            raise FormatError(f"line {at}: not a sample: {line[:80]!r}")
        series_text, value, timestamp = fields.groups()
        when = None if timestamp is None else int(timestamp)
        yield SampleLine(series_text, value, when, kind)


def value_of(text: str, series_text: str = "") -> float:
    """Return the float that a sample line carries.

    Raises:
        FormatError: `text` is not a number.
    """
    try:
        # Digit separators and other scripts' digits are Python's, not the format's.
        return float(text if text.isascii() and "_" not in text else "")
    except ValueError:
        raise FormatError(
            f"{series_text or 'a sample'}: {text!r} isn't a number"
        ) from None


def series(text: str, edges: Iterable[str] = EDGES) -> Labels:
    """Return the labels of a series text, ``__name__`` included, sorted by name.

    The labels named in `edges` are written as Prometheus 3 does: ``"2"`` becomes
    ``"2.0"``. It does so for ``le`` of a histogram and ``quantile`` of a summary.
    Labels with an empty value are dropped: to Prometheus they do not exist.

    Raises:
        FormatError: The labels do not parse, or one appears twice.
    """
    name, brace, rest = text.partition("{")
    labels = {"__name__": name.strip()}
    inner = rest.rstrip()[:-1] if brace else ""
    at = 0
    while inner[at:].strip():
        match = _LABEL.match(inner, at)
        if match is None:
            raise FormatError(f"invalid labels at {inner[at : at + 40]!r}")
        key, value, _ = match.groups()
        if key in labels:
            raise FormatError(f"label {key!r} appears twice in {text[:80]!r}")
        labels[key] = _unescape(value)
        at = match.end()
    for key in edges:
        if key in labels:
            labels[key] = normal_edge(labels[key])
    return tuple(sorted((key, value) for key, value in labels.items() if value))


def normal_edge(text: str) -> str:
    """Return a bucket edge or quantile as Prometheus 3 stores it: ``"2.0"``."""
    try:
        value = float(text)
    except ValueError:
        return text
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value)}.0"
    return repr(value)


def parse(text: str) -> Iterator[Sample]:
    """Yield every sample of an exposition.

    Raises:
        FormatError: As `split`, `series` and `value_of`; it names the line.
    """
    for series_text, value, timestamp, kind in split(text):
        try:
            labels = series(series_text, EDGE_OF.get(kind, ()))
            amount = value_of(value, series_text)
        except FormatError as error:
            at = line_of(text, series_text)
            raise FormatError(f"line {at}: {error}") from None
        name = next(v for k, v in labels if k == "__name__")
        rest = tuple(pair for pair in labels if pair[0] != "__name__")
        yield Sample(name, rest, amount, timestamp)


def line_of(text: str, series_text: str) -> int:
    """Return the line of a series' first sample: `split` leaves it out to be fast."""
    for at, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith(series_text):
            return at
    return 0


def _unescape(value: str) -> str:
    if "\\" not in value:
        return value
    plain = {"n": "\n", '"': '"', "\\": "\\"}
    return _ESCAPE.sub(lambda m: plain.get(m[1], m[0]), value)
