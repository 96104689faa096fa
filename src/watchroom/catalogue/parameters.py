r"""The parameters of a vital's templates, and how they are filled in.

``$window``, ``$window_seconds``, ``$window_words``
    The vital's window: ``5m``, ``300``, ``5 minutes``.
``$windows12``, ``$windows12_words``
    Twelve windows; there are 2, 6, 12, 72 and 864.
``$interval_seconds``
    The time between two scrapes, and between two evaluations.
``$limit``, ``$limit_words``
    Its limit in base units, ``0.01``, and as people say it, ``1%``.
``$above``, ``$rise``
    For a drill's fault: the next whole number above the limit, and a counter that
    grows by it at each step, ``0+$rise``.
``$limit_le``, ``$limit_edge``
    The limit as a bucket edge: a pattern for a quoted ``le=~"…"`` that matches both
    spellings, ``2(\\.0)?``, and the exposition's own, ``2.0``.
``$for``, ``$for_words``
    The alert's `for`.
``$steps``
    How many scrapes outlast a drill.
``$real``
    The matcher that leaves drills out.
``$targets``, ``$jobs``
    In charts: the matchers of what the reader chose, drills left out; by job and
    instance, and by job alone.
``$rate_interval``
    In charts: Grafana's range that fits the zoom and holds at least four scrapes.
``$exporter``, ``$monitor``
    Base URLs, for runbooks.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from watchroom.errors import ConfigError
from watchroom.units import format_duration, parse_duration
from watchroom.urgency import NO_DRILLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchroom.catalogue.model import Alert, Vital

# The alerting engine's own variables.
ENGINE = frozenset({"value", "labels", "externalLabels"})
# Of 5 minutes: 10 and 30 minutes, 1 and 6 hours, 3 days.
_MULTIPLES = (2, 6, 12, 72, 864)
RATE_INTERVAL = "$__rate_interval"
_NAME = re.compile(r"\$(\w+)")
_SECONDS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


def of(
    vital: Vital, alert: Alert | None, interval: float, urls: Mapping[str, str]
) -> dict[str, str]:
    """Return the parameters of a vital's templates, or of one of its alerts'.

    Args:
        vital: Whose limit and window count.
        alert: Whose `for` counts; None for records and panels.
        interval: Seconds between scrapes.
        urls: ``exporter`` and ``monitor``.
    """
    window = parse_duration(vital.window)
    values = {
        "window": vital.window,
        "window_seconds": number(window),
        "window_words": duration_words(window),
        "interval_seconds": number(interval),
        "real": NO_DRILLS,
        "jobs": f'job=~"$job",{NO_DRILLS}',
        "targets": f'job=~"$job",{NO_DRILLS},instance=~"$instance"',
        "rate_interval": RATE_INTERVAL,
        **urls,
        **vital.parameters,
    }
    for count in _MULTIPLES:
        values[f"windows{count}"] = format_duration(count * window)
        values[f"windows{count}_words"] = duration_words(count * window)
    if vital.limit is not None:
        values["limit"] = number(vital.limit)
        values["limit_words"] = limit_words(vital.limit, vital.unit)
        values["limit_le"] = edge_pattern(vital.limit)
        values["limit_edge"] = edge(vital.limit)
    hold = max(parse_duration(alert.for_) for alert in vital.alerts)
    if alert is not None:
        hold = parse_duration(alert.for_)
        values["for"] = alert.for_
        values["for_words"] = duration_words(hold)
    values["steps"] = str(math.ceil((hold + window + 300) / interval))
    if vital.limit is not None:
        values["above"] = number(math.floor(vital.limit) + 1)
        values["rise"] = f"{values['above']}x{values['steps']}"
    return values


def fill(template: str, parameters: Mapping[str, str], where: str) -> str:
    """Return `template` with its parameters filled in.

    Raises:
        ConfigError: It names one that there is not.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name in parameters:
            return parameters[name]
        if name in ENGINE:
            return match[0]
        raise ConfigError(
            f"{where}: there is no parameter ${name}",
            hint="there are " + ", ".join(f"${name}" for name in sorted(parameters)),
        )

    return _NAME.sub(replace, template)


def number(value: float) -> str:
    """Return the shortest text of a number: ``5``, ``0.01``."""
    return str(int(value)) if value == int(value) else repr(value)


def edge(limit: float) -> str:
    """Return a bucket edge as the exposition writes it: ``2.0``, ``0.5``."""
    return repr(float(limit))


def edge_pattern(limit: float) -> str:
    """Return the regex, escaped for a quoted PromQL string, of both spellings."""
    text = edge(limit)
    if text.endswith(".0"):
        return text[:-2] + r"(\\.0)?"
    return text.replace(".", r"\\.")


def limit_words(limit: float, unit: str) -> str:
    """Return a limit as people write it: ``1%``, ``2 seconds``, ``1000``."""
    if unit == "share":
        return f"{limit * 100:g}%"
    if unit == "seconds":
        return duration_words(limit)
    return number(limit)


def duration_words(seconds: float) -> str:
    """Return a duration in words: ``5 minutes``, ``1.5 seconds``."""
    for name, size in _SECONDS:
        if seconds >= size and seconds % size == 0:
            count = round(seconds / size)
            return f"{count} {name}" + ("" if count == 1 else "s")
    return f"{seconds:g} seconds"
