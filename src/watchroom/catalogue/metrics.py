"""The metrics that watchroom's own instruments record: all the app imports of it.

NamedTuples, since ten frozen dataclasses of real width cost 6.9 ms to import and these
1.6 (measured on a started Django).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Metric(NamedTuple):
    """One metric, as every process records it and the exporter serves it.

    Attributes:
        name: With its unit and, for counters, ``_total``.
        kind: ``counter``, ``gauge`` or ``histogram``.
        help: One line for people.
        labels: Label names, in the order of a series' values.
        edges: Upper bucket edges of a histogram without +Inf, ascending, base unit.
        limits: Vitals whose limit must be an edge, each with its default limit.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    limits: tuple[tuple[str, float], ...] = ()


HTTP_REQUESTS = Metric(
    "http_requests_total",
    "counter",
    "Requests answered, or lost with their process (status=lost).",
    ("method", "route", "status"),
)
HTTP_DURATION = Metric(
    "http_request_duration_seconds",
    "histogram",
    "From the request's arrival to the end of its response's body.",
    ("method", "route"),
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
    (("HighLatency", 2.0),),
)
HTTP_IN_FLIGHT = Metric(
    "http_requests_in_flight",
    "gauge",
    "Requests that have begun and not ended.",
    ("method", "route"),
)
DB_DURATION = Metric(
    "db_query_duration_seconds",
    "histogram",
    "One execute or executemany, as the app waited for it.",
    ("alias", "role"),
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 2.5, 5.0, 10.0),
    (("DatabaseQuerySlow", 1.0),),
)
DB_ERRORS = Metric(
    "db_query_errors_total",
    "counter",
    "Queries that raised.",
    ("alias", "role"),
)
CACHE_GETS = Metric(
    "cache_gets_total",
    "counter",
    "Keys asked of a cache, by result; get_many counts each of its keys.",
    ("alias", "role", "result"),
)
CACHE_ERRORS = Metric(
    "cache_errors_total",
    "counter",
    "Cache calls that raised.",
    ("alias", "role"),
)
PROCESSES = Metric(
    "watchroom_processes",
    "gauge",
    "Processes of the app that are alive.",
    ("role",),
)
INSTRUMENT_ERRORS = Metric(
    "watchroom_instrument_errors_total",
    "counter",
    "Failures inside watchroom's own instruments; the app did not see them.",
    ("instrument",),
)
SERIES_DROPPED = Metric(
    "watchroom_series_dropped_total",
    "counter",
    "Observations that went to the overflow series, for want of room.",
    ("metric",),
)
COUNTER_RESETS = Metric(
    "watchroom_counter_resets_total",
    "counter",
    "Metrics whose definition changed so that their old totals were dropped.",
)

METRICS = (
    HTTP_REQUESTS,
    HTTP_DURATION,
    HTTP_IN_FLIGHT,
    DB_DURATION,
    DB_ERRORS,
    CACHE_GETS,
    CACHE_ERRORS,
    PROCESSES,
    INSTRUMENT_ERRORS,
    SERIES_DROPPED,
    COUNTER_RESETS,
)


def edges(metric: Metric, limits: Mapping[str, float]) -> tuple[float, ...]:
    """Return a histogram's edges with an edge on every limit.

    Args:
        metric: A histogram.
        limits: The project's limits by vital, base unit; a vital without one has its
            default.
    """
    wanted = {limits.get(vital, default) for vital, default in metric.limits}
    return tuple(sorted({*metric.edges, *wanted}))
