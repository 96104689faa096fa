"""Series with everything that goes wrong in production, for comparisons.

Times lie off every grid that queries use, so that windows which include their left
edge (Prometheus 2) and those which do not (3) hold the same samples.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from watchroom.promql.memory import Series
from watchroom.promql.model import STALE, Labels, labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Sample: TypeAlias = tuple[int, float]
STEP_MS = 15_000
COUNT = 190  # 47 minutes: within what a fresh Prometheus takes in any order
_BOUNDS = ("0.005", "0.05", "0.5", "1.0", "2.5", "+Inf")


def _counter(chance: random.Random) -> Iterator[float]:
    value = float(chance.randrange(1000))
    while True:
        yield value
        value = 0.0 if chance.random() < 0.02 else value
        value += chance.choice((0, 0, 1, 2, 7, 0.25))


def _gauge(chance: random.Random) -> Iterator[float]:
    value = chance.uniform(-5, 5)
    while True:
        yield value
        value += chance.gauss(0, 1)


def _level(chance: random.Random) -> Iterator[float]:
    while True:
        yield float(chance.randrange(4))


def _odd(chance: random.Random) -> Iterator[float]:
    while True:
        yield chance.choice((1.0, -2.5, 0.0, math.nan, math.inf, -math.inf, 1e300))


def _times(chance: random.Random, base_ms: int) -> list[int]:
    offset = chance.randrange(1, STEP_MS)
    return [
        base_ms + offset + STEP_MS * index + chance.randrange(7)
        for index in range(COUNT)
    ]


def _with_gaps(chance: random.Random, samples: list[Sample]) -> list[Sample]:
    """Return `samples` with holes, some of them begun by a stale marker."""
    kept: list[Sample] = []
    at = 0
    while at < len(samples):
        if chance.random() < 0.03:
            if chance.random() < 0.6:
                kept.append((samples[at][0], STALE))
            at += chance.randrange(1, 40)
            continue
        kept.append(samples[at])
        at += 1
    return kept or samples[:1]


def _series(
    chance: random.Random,
    labels: dict[str, str],
    values: Callable[[random.Random], Iterator[float]],
    times: Sequence[int],
    *,
    gaps: bool,
) -> tuple[Labels, list[Sample]]:
    samples = list(zip(times, values(chance), strict=False))
    return labels_of(labels), _with_gaps(chance, samples) if gaps else samples


def make(
    seed: int, base_ms: int, *, steady_counters: bool = False
) -> list[tuple[Labels, list[Sample]]]:
    """Return series that begin at `base_ms`, the same for the same `seed`.

    With `steady_counters` counters have resets, but neither gaps nor stale markers.
    """
    chance = random.Random(seed)
    made: list[tuple[Labels, list[Sample]]] = []
    kinds = (
        ("requests_total", _counter),
        ("errors_total", _counter),
        ("load", _gauge),
        ("level", _level),
        ("odd", _odd),
    )
    for instance in ("a", "b", "c"):
        times = _times(chance, base_ms)
        for name, values in kinds:
            for status in ("200", "404", "500"):
                labels = {
                    "__name__": name,
                    "instance": instance,
                    "status": status,
                    "job": "web" if instance != "c" else "worker",
                }
                steady = steady_counters and values is _counter
                gaps = chance.random() < 0.5 and not steady
                made.append(_series(chance, labels, values, times, gaps=gaps))
        info = {"__name__": "build_info", "instance": instance}
        info["version"] = f"1.{instance}"
        made.append((labels_of(info), [(when, 1.0) for when in times]))
        made += _histogram(chance, instance, times)
    return made


def _histogram(
    chance: random.Random, instance: str, times: Sequence[int]
) -> Iterator[tuple[Labels, list[Sample]]]:
    for route in ("/", "/a"):
        counts = [0] * len(_BOUNDS)
        rows: list[list[float]] = []
        for _ in times:
            if chance.random() < 0.01:
                counts = [0] * len(_BOUNDS)
            for _ in range(chance.randrange(5)):
                least = chance.randrange(len(_BOUNDS))
                counts = [
                    count + (index >= least) for index, count in enumerate(counts)
                ]
            rows.append([float(count) for count in counts])
        for index, bound in enumerate(_BOUNDS):
            labels = {
                "__name__": "seconds_bucket",
                "instance": instance,
                "route": route,
                "le": bound,
            }
            values = [row[index] for row in rows]
            yield labels_of(labels), list(zip(times, values, strict=True))


def as_series(made: Sequence[tuple[Labels, Sequence[Sample]]]) -> list[Series]:
    """Return `made` for `Memory`."""
    return [
        Series(
            labels,
            np.array([when for when, _ in samples], np.int64),
            np.array([value for _, value in samples], np.float64),
        )
        for labels, samples in made
    ]
