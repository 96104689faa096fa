"""A tile's last hour as SVG paths: the line, the area under it, the limit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 300
HEIGHT = 44
_TOP = 2.0  # room for the stroke
_FLOOR = HEIGHT - 1.0


class Spark(NamedTuple):
    """Path data in a viewBox of 300 × 44; "" where there is nothing to draw."""

    line: str
    area: str
    limit: str
    dot: str


def spark(values: Sequence[float | None], limit: float | None) -> Spark:
    """Return the paths for evenly spaced `values`, oldest first; None is a gap."""
    points = [v if v is not None and math.isfinite(v) else None for v in values]
    known = [v for v in points if v is not None]
    if not known:
        y = HEIGHT / 2
        return Spark("", "", f"M0 {y:g}H{WIDTH}" if limit is not None else "", "")
    bounds = known if limit is None else [*known, limit]
    low, high = min(0.0, *bounds), max(bounds)
    high += (high - low) * 0.08 or 1.0

    def height(value: float) -> float:
        return _FLOOR - (value - low) / (high - low) * (_FLOOR - _TOP)

    step = WIDTH / max(1, len(points) - 1)
    runs = _runs(
        [(i * step, None if v is None else height(v)) for i, v in enumerate(points)]
    )
    line = "".join(_path(run) for run in runs)
    area = "".join(
        f"{_path(run)}L{run[-1][0]:.1f} {HEIGHT}L{run[0][0]:.1f} {HEIGHT}Z"
        for run in runs
        if len(run) > 1
    )
    last = runs[-1][-1]
    dashes = "" if limit is None else f"M0 {height(limit):.1f}H{WIDTH}"
    return Spark(line, area, dashes, f"M{last[0]:.1f} {last[1]:.1f}h0")


def _runs(
    points: Sequence[tuple[float, float | None]],
) -> list[list[tuple[float, float]]]:
    """Return the stretches without gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is not None:
            runs[-1].append((x, y))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _path(run: Sequence[tuple[float, float]]) -> str:
    if len(run) == 1:  # a lone value between two gaps still shows
        return f"M{run[0][0]:.1f} {run[0][1]:.1f}h1"
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in run)
