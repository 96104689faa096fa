"""A tile: the state of one vital in words, from its reading and its alerts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from watchroom.monitor.console.overview.spark import Spark, spark
from watchroom.monitor.console.values import (
    BOOLS,
    COUNTS,
    Quantity,
    limit_words,
    quantity,
)
from watchroom.units import ago, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.monitor.console.overview.panels import VitalPanel
    from watchroom.monitor.console.overview.readings import PanelReading
    from watchroom.monitor.rules.views import AlertView

# state: (symbol, CSS class)
STATES = {
    "ok": ("●", "ok"),
    "close": ("◆", "warn"),
    "pending": ("◆", "warn"),
    "firing": ("▲", "fire"),
    "blind": ("○", "blind"),
    "idle": ("–", "none"),
    "not applicable": ("·", "none"),
}
_CLOSE = 0.85
_SMALL_COUNT = 10


class Tile(NamedTuple):
    """One vital as the page shows it, all as text."""

    id: int
    title: str
    description: str
    state: str
    symbol: str
    css: str
    words: str
    value: Quantity
    plain: bool
    detail: str
    limit: str
    spark: Spark
    age: str
    runbook: str
    row: str = ""


def tile(
    panel: VitalPanel,
    reading: PanelReading,
    alerts: Sequence[AlertView],
    trend: Sequence[float | None],
    *,
    now_ms: int,
    stale_ms: int,
    fired: Mapping[str, int],
) -> Tile:
    """Return the tile of `panel`.

    Args:
        panel: From the dashboard file.
        reading: The values of its expressions.
        alerts: The pending and firing alerts that name this panel.
        trend: Its last hour.
        now_ms: Now.
        stale_ms: A newest sample older than this means no data.
        fired: Alert name → when it last began to fire, where that is known.
    """
    state, words = state_of(panel, reading, alerts, now_ms=now_ms, stale_ms=stale_ms)
    if state == "firing":
        names = {dict(alert.labels).get("alertname", "") for alert in alerts}
        since = min((fired[name] for name in names if name in fired), default=None)
        if since is not None:
            words = f"firing {span((now_ms - since) / 1000)}"
    symbol, css = STATES[state]
    value, plain = _value(panel, reading, state)
    return Tile(
        id=panel.id,
        title=panel.title,
        description=panel.description,
        state=state,
        symbol=symbol,
        css=css,
        words=words,
        value=value,
        plain=plain,
        detail=_detail(reading),
        limit=panel.otherwise
        if reading.otherwise is not None
        else limit_words(panel.limit, panel.unit, above_is_bad=panel.above_is_bad),
        spark=spark(trend, panel.limit if reading.otherwise is None else None),
        age=_age(reading, state, now_ms),
        runbook=_runbook(panel, alerts),
        row=panel.row,
    )


def state_of(
    panel: VitalPanel,
    reading: PanelReading,
    alerts: Sequence[AlertView],
    *,
    now_ms: int,
    stale_ms: int,
) -> tuple[str, str]:
    """Return the state and the words for it."""
    for state in ("firing", "pending"):
        since = [
            alert.active_at_ms
            for alert in alerts
            if alert.state == state and not _is_no_data_alert(alert)
        ]
        if since:
            return state, f"{state} {span((now_ms - min(since)) / 1000)}"
    if not panel.applicable and not reading.present and _is_nothing(reading.value):
        return "not applicable", "not applicable"
    blind = _no_data(reading, now_ms, stale_ms)
    if blind:
        return "blind", blind
    if reading.otherwise is not None:
        return "not applicable", panel.otherwise
    if reading.value is None or math.isnan(reading.value):
        return "idle", "idle"
    return _against_limit(panel, reading.value)


def _is_nothing(value: float | None) -> bool:
    return value is None or math.isnan(value) or value == 0


def _is_no_data_alert(alert: AlertView) -> bool:
    """Return whether the alert only reports that the vital's series are missing."""
    return dict(alert.labels).get("blind") == "true"


def _no_data(reading: PanelReading, now_ms: int, stale_ms: int) -> str:
    """Return the words for a vital without data, or ""."""
    unknown = reading.present is None and reading.value is None
    if reading.error or reading.present is False or unknown:
        return "no data"
    if reading.newest_ms is not None and now_ms - reading.newest_ms > stale_ms:
        return f"no data {span((now_ms - reading.newest_ms) / 1000)}"
    return ""


def _against_limit(panel: VitalPanel, value: float) -> tuple[str, str]:
    limit = panel.limit
    if limit is None:
        return "ok", "ok"
    if value > limit if panel.above_is_bad else value < limit:
        # The alert also asks for a number of events, or for time; it decides.
        if panel.unit in BOOLS:
            return "close", "failing"
        return "close", "over the limit" if panel.above_is_bad else "under the limit"
    if (
        limit <= 0
        or panel.unit in BOOLS
        or (panel.unit in COUNTS and limit < _SMALL_COUNT)
    ):
        return "ok", "ok"
    near = value >= _CLOSE * limit if panel.above_is_bad else value <= limit / _CLOSE
    return ("close", "close") if near else ("ok", "ok")


def _value(
    panel: VitalPanel, reading: PanelReading, state: str
) -> tuple[Quantity, bool]:
    """Return the tile's large value, and whether it is words."""
    if state == "blind":
        return Quantity("unknown", ""), True
    if state == "not applicable" and reading.otherwise is None:
        return Quantity("not configured", ""), True
    if reading.otherwise is not None:
        return quantity(reading.otherwise, panel.otherwise_unit), False
    if reading.value is None or math.isnan(reading.value):
        return Quantity(
            "no data" if state in {"firing", "pending"} else "no events", ""
        ), True
    return quantity(reading.value, panel.unit, whole=panel.whole), False


def _detail(reading: PanelReading) -> str:
    """Return which of several series the value is."""
    if reading.series < 2:
        return ""
    named = [value for name, value in reading.labels if name not in {"job", "__name__"}]
    which = ", ".join(named)[:60]
    return (
        f"worst of {reading.series}: {which}" if which else f"worst of {reading.series}"
    )


def _age(reading: PanelReading, state: str, now_ms: int) -> str:
    if reading.error:
        return "cannot be evaluated"
    if state == "not applicable":
        return ""
    if reading.newest_ms is None:
        return "no data for 5 min"
    return ago((now_ms - reading.newest_ms) / 1000)


def _runbook(panel: VitalPanel, alerts: Sequence[AlertView]) -> str:
    for alert in alerts:
        name = dict(alert.labels).get("alertname", "")
        if name:
            return name
    return panel.runbook
