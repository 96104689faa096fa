"""The metrics that the app side writes: all it imports from the catalogue.

NamedTuples, because ten frozen dataclasses of this width cost 6.9 ms to import on a
started Django and NamedTuples 1.6 (measured); the whole app side may cost 5. And
annotations are evaluated: of a string NamedTuple compiles each, at every import.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Metric(NamedTuple):
    """One metric of the app side.

    Attributes:
        name: As exported; a counter's ends in ``_total``.
        kind: ``counter``, ``histogram`` or ``gauge``.
        help: One line for people.
        labels: Label names, in the order in which values are given.
        edges: Upper bucket edges in the metric's base unit, rising, without +Inf.
        limits: Vitals whose limit is an edge too, each with its default.
        open_labels: Labels with unbounded values; at the cap on series they
            become ``overflow``.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    limits: tuple[tuple[str, float], ...] = ()
    open_labels: tuple[str, ...] = ()


HTTP_REQUESTS = Metric(
    "http_requests_total",
    "counter",
    "Requests answered, or lost with their process, by route and status.",
    ("method", "route", "status"),
    open_labels=("route",),
)
HTTP_DURATION = Metric(
    "http_request_duration_seconds",
    "histogram",
    "Seconds from the first middleware to the end of the response.",
    ("method", "route"),
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0),
    limits=(("HighLatency", 2.0),),
    open_labels=("route",),
)
HTTP_IN_FLIGHT = Metric(
    "http_requests_in_flight",
    "gauge",
    "Requests being answered now.",
)
DB_DURATION = Metric(
    "db_query_duration_seconds",
    "histogram",
    "Seconds per database query, by connection alias and role of the process.",
    ("alias", "role"),
    (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    limits=(("DatabaseQuerySlow", 1.0),),
)
DB_ERRORS = Metric(
    "db_query_errors_total",
    "counter",
    "Database queries that raised, by connection alias and role of the process.",
    ("alias", "role"),
)
CACHE_GETS = Metric(
    "cache_gets_total",
    "counter",
    "Cache keys asked for, by alias, role of the process and result.",
    ("alias", "role", "result"),
)
CACHE_ERRORS = Metric(
    "cache_errors_total",
    "counter",
    "Cache calls that raised, by alias and role of the process.",
    ("alias", "role"),
)
TASKS_FAILED = Metric(
    "celery_task_failed_total",
    "counter",
    "Celery tasks that failed, or were lost with their process, by task.",
    ("name",),
    open_labels=("name",),
)
TASKS_SUCCEEDED = Metric(
    "celery_task_succeeded_total",
    "counter",
    "Celery tasks that returned, by task.",
    ("name",),
    open_labels=("name",),
)
TASKS_RETRIED = Metric(
    "celery_task_retried_total",
    "counter",
    "Times that Celery tasks asked to be run again, by task.",
    ("name",),
    open_labels=("name",),
)
TASKS_IN_FLIGHT = Metric(
    "celery_tasks_in_flight",
    "gauge",
    "Runs of Celery tasks that a worker has begun and not ended.",
)
TASK_RUNTIME = Metric(
    "celery_task_runtime_seconds",
    "histogram",
    "Seconds per run of a Celery task, however it ended, by task.",
    ("name",),
    (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0),
    open_labels=("name",),
)
PROCESSES = Metric(
    "watchroom_processes",
    "gauge",
    "Live processes that count, by role.",
    ("role",),
)
INSTRUMENT_ERRORS = Metric(
    "watchroom_instrument_errors_total",
    "counter",
    "Observations lost to a fault inside an instrument.",
    ("instrument",),
)
SERIES_DROPPED = Metric(
    "watchroom_series_dropped_total",
    "counter",
    "New series that found no room and are kept in their process' memory, unexported.",
    ("metric",),
)
LOG_DROPPED = Metric(
    "watchroom_log_records_dropped_total",
    "counter",
    "Log records that stdout did not take: closed, full, or not read from.",
)
RELEASE_INFO = Metric(
    "watchroom_release_info",
    "gauge",
    "Constantly 1, for each release that live processes run, by role.",
    ("release", "role"),
)
SENTRY_PROCESSES = Metric(
    "watchroom_sentry_processes",
    "gauge",
    "Live processes whose errors watchroom.sentry() sends, by role.",
    ("role",),
)
COUNTER_RESETS = Metric(
    "watchroom_counter_resets_total",
    "counter",
    "Times that totals had to start again: unreadable base file, changed kind.",
)

METRICS = tuple(
    value for value in tuple(globals().values()) if isinstance(value, Metric)
)


def edges(metric: Metric, limits: Mapping[str, Iterable[float]]) -> tuple[float, ...]:
    """Return a histogram's edges: its own, each vital's default and overridden limits.

    Args:
        metric: A histogram.
        limits: Limits by vital, in the metric's base unit; absent = default.
    """
    limits_and_edges = set(metric.edges)
    for vital, default in metric.limits:
        limits_and_edges.add(default)
        limits_and_edges.update(
            float(limit) for limit in limits.get(vital, ()) if limit > 0.0
        )
    return tuple(sorted(limits_and_edges))
