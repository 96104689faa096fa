"""The overview's values, read from one snapshot in a query thread."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from watchroom.errors import QueryError
from watchroom.promql.model import (
    LOOKBACK_MS,
    STALE_CELL,
    VALUE,
    Matcher,
    Matrix,
    Scalar,
    Vector,
)
from watchroom.promql.parse import parse
from watchroom.promql.syntax import selectors
from watchroom.urgency import NO_DRILLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchroom.monitor.console.overview.panels import VitalPanel
    from watchroom.promql.engine import Engine
    from watchroom.promql.model import Labels, Queryable, SeriesGroup

TREND_POINTS = 60
_WINDOWS = (300, 900, 3600)
HISTORY_SECONDS = 6 * 3600
_ABSENCE_MS = 900_000


class PanelReading(NamedTuple):
    """The current values of a panel's expressions.

    Attributes:
        value: The worst sample; None without any, NaN for 0/0.
        labels: That sample's labels.
        series: How many samples there were.
        present: Whether the series it is made from exist; None when unknown.
        newest_ms: The newest sample of its series, None without any.
        error: Why it could not be evaluated, or "".
        otherwise: What to show if there is nothing to compare; None without it.
    """

    value: float | None = None
    labels: Labels = ()
    series: int = 0
    present: bool | None = None
    newest_ms: int | None = None
    error: str = ""
    otherwise: float | None = None


class Processes(NamedTuple):
    """The app's processes of one role: how many report, of how many lately."""

    role: str
    now: int
    lately: int


class Transition(NamedTuple):
    """An alert that began to be pending or firing, or ceased to fire."""

    at_ms: int
    alert: str
    state: str
    labels: Labels
    lasted_ms: int

    @property
    def pairs(self) -> dict[str, str]:
        """Its labels with the alert's name, as `watchroom.urgency` reads them."""
        return {"alertname": self.alert, **dict(self.labels)}


def read_panels(
    engine: Engine, queryable: Queryable, panels: Iterable[VitalPanel], at_ms: int
) -> dict[int, PanelReading]:
    """Return the reading of each panel by its id."""
    return {panel.id: _read(engine, queryable, panel, at_ms) for panel in panels}


def _read(
    engine: Engine, queryable: Queryable, panel: VitalPanel, at_ms: int
) -> PanelReading:
    try:
        samples = _samples(engine, queryable, panel.expr, at_ms)
        present = None
        if panel.presence:
            counts = _samples(engine, queryable, panel.presence, at_ms)
            present = any(value > 0 for _, value in counts)
        newest = newest_ms(queryable, panel.presence or panel.expr, at_ms)
        other = None
        if not samples and panel.otherwise_expr:
            others = _samples(engine, queryable, panel.otherwise_expr, at_ms)
            other = next((value for _, value in others), None)
    except QueryError as error:
        return PanelReading(error=str(error))
    real = [(labels, value) for labels, value in samples if not math.isnan(value)]
    if not real:
        value = math.nan if samples else None
        return PanelReading(value, (), len(samples), present, newest, otherwise=other)
    worst = max if panel.above_is_bad else min
    labels, value = worst(real, key=lambda sample: sample[1])
    return PanelReading(value, labels, len(real), present, newest)


def _samples(
    engine: Engine, queryable: Queryable, expr: str, at_ms: int
) -> Sequence[tuple[Labels, float]]:
    match engine.instant(queryable, expr, at_ms):
        case Scalar(value):
            return [((), value)]
        case Vector(samples):
            return samples
    return []


def newest_ms(queryable: Queryable, expr: str, at_ms: int) -> int | None:
    """Return the time of the newest sample that `expr` looks at, in five minutes."""
    newest: int | None = None
    for selector in selectors(parse(expr)):
        for group in queryable.select(selector.matchers, at_ms - LOOKBACK_MS, at_ms):
            last = _last_value_ms(group, at_ms)
            if last is not None and (newest is None or last > newest):
                newest = last
    return newest


def _last_value_ms(group: SeriesGroup, at_ms: int) -> int | None:
    upto = int(np.searchsorted(group.timestamps, at_ms, side="right"))
    if upto == 0 or not len(group.labels):
        return None
    if group.state is None:
        return int(group.timestamps[upto - 1])
    columns = np.flatnonzero((group.state[:, :upto] == VALUE).any(axis=0))
    return int(group.timestamps[columns[-1]]) if len(columns) else None


class Trends(NamedTuple):
    """Each panel's recent past, evenly spaced, by panel id; `seconds` in all."""

    seconds: int = _WINDOWS[0]
    values: Mapping[int, Sequence[float | None]] = {}


def read_trends(
    engine: Engine, queryable: Queryable, panels: Iterable[VitalPanel], at_ms: int
) -> Trends:
    """Return each panel's last hour, its worst series at each of sixty points.

    A monitor that started lately has a shorter one: five or fifteen minutes, so that
    the line isn't just a sliver.
    """
    window = _window(queryable, at_ms)
    step_ms = window * 1000 // TREND_POINTS
    end = at_ms // step_ms * step_ms
    start = end - window * 1000
    trends: dict[int, Sequence[float | None]] = {}
    for panel in panels:
        try:
            matrix = engine.range(queryable, panel.expr, start, end, step_ms)
        except QueryError:
            trends[panel.id] = []
            continue
        trends[panel.id] = _worst(matrix, panel, start, step_ms)
    return Trends(window, trends)


def _window(queryable: Queryable, at_ms: int) -> int:
    """Return the smallest window in seconds that holds all targets' past."""
    longest = _WINDOWS[-1] * 1000
    up = [Matcher("__name__", "=", "up")]
    first = at_ms
    for group in queryable.select(up, at_ms - longest, at_ms):
        inside = group.timestamps[group.timestamps > at_ms - longest]
        if len(inside):
            first = min(first, int(inside[0]))
    return next(w for w in _WINDOWS if at_ms - first <= w * 1000)


def _worst(
    matrix: Matrix, panel: VitalPanel, start: int, step_ms: int
) -> list[float | None]:
    merged: list[float | None] = [None] * (TREND_POINTS + 1)
    worst = max if panel.above_is_bad else min
    for _, times, values in matrix.series:
        for at, value in zip(times.tolist(), values.tolist(), strict=True):
            index = (at - start) // step_ms
            if 0 <= index <= TREND_POINTS and math.isfinite(value):
                known = merged[index]
                merged[index] = value if known is None else worst(known, value)
    return merged


def read_processes(engine: Engine, queryable: Queryable, at_ms: int) -> list[Processes]:
    """Return the app's reporting processes by role, of the most in 15 minutes.

    Without those of drills, which no machine runs.
    """
    real = f"watchroom_processes{{{NO_DRILLS}}}"
    most_of = f"sum by (role) (max_over_time({real}[15m]))"
    try:
        now = _samples(engine, queryable, f"sum by (role) ({real})", at_ms)
        lately = _samples(engine, queryable, most_of, at_ms)
    except QueryError:
        return []
    most = {dict(labels).get("role", ""): value for labels, value in lately}
    processes = []
    for labels, value in now:
        role = dict(labels).get("role", "")
        top = int(max(value, most.get(role, 0)))
        if role in {"web", "worker"} and (top or role == "web"):
            processes.append(Processes(role, int(value), top))
    return processes


def read_history(
    queryable: Queryable,
    at_ms: int,
    gap_ms: int,
    *,
    seconds: int = HISTORY_SECONDS,
    only: Sequence[Matcher] = (),
) -> list[Transition]:
    """Return the alerts' changes of the last six hours from ALERTS, newest first.

    Args:
        queryable: A snapshot.
        at_ms: Now.
        gap_ms: An alert not seen for longer than this has ended.
        seconds: How far back.
        only: Which alerts.
    """
    start = at_ms - seconds * 1000
    history: list[Transition] = []
    firing = [
        *(Matcher("__name__", "=", "ALERTS"), Matcher("alertname", "!=", "")),
        *only,
    ]
    for group in queryable.select(firing, start, at_ms):
        for row, labels in enumerate(group.labels):
            state = None if group.state is None else group.state[row]
            real = np.ones(len(group.timestamps), dtype=bool)
            if state is not None:
                real = state == VALUE
            real &= (group.timestamps > start) & (group.timestamps <= at_ms)
            ends = None if state is None else group.timestamps[state == STALE_CELL]
            history += _runs(labels, group.timestamps[real], ends, at_ms, gap_ms)
    return sorted(history, key=lambda change: change.at_ms, reverse=True)


def _runs(
    labels: Labels,
    times: np.ndarray[tuple[int], np.dtype[np.int64]],
    ends: np.ndarray[tuple[int], np.dtype[np.int64]] | None,
    at_ms: int,
    gap_ms: int,
) -> list[Transition]:
    """Return when the stretches of samples of one ALERTS series begin and end."""
    if not len(times):
        return []
    plain = dict(labels)
    state = plain.pop("alertstate", "")
    alert = plain.get("alertname", "")
    for hidden in ("__name__", "alertname"):
        plain.pop(hidden, None)
    rest = tuple(sorted(plain.items()))
    stops = np.sort(ends) if ends is not None else times[:0]
    first = previous = int(times[0])
    changes: list[Transition] = []

    def close(until: int) -> None:
        changes.append(Transition(first, alert, state, rest, until - first))
        if state == "firing" and until < at_ms - gap_ms:
            changes.append(Transition(until, alert, "resolved", rest, until - first))

    for at in times[1:].tolist():
        # A gap without a stale marker is our own absence, not the alert's end.
        ended = np.searchsorted(stops, previous, "right") < np.searchsorted(
            stops, at, "right"
        )
        if ended or at - previous > _ABSENCE_MS:
            close(previous)
            first = at
        previous = at
    close(previous)
    return changes
