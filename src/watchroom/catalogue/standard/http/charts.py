"""HTTP over time: how much is asked, how much of it fails, how long it takes."""

from __future__ import annotations

from watchroom.catalogue.model import Chart, Query
from watchroom.catalogue.prose import beside
from watchroom.catalogue.standard.http import FAILED

TEXTS = beside(__name__)


def _routes(expr: str) -> str:
    """Return an expression with routes as paths, as alerts write them: /customers/.

    Without a capture group: Grafana takes ``$1`` for a variable of a dashboard.
    """
    joined = f'label_join({expr}, "route", "/", "nothing", "route")'
    return f'label_replace({joined}, "route", "/", "route", "//")'


_LATENCY = "http_request_duration_seconds"

FAILURES = (
    Chart(
        **TEXTS.chart("Requests and 5xx"),
        row="Request rate and 5xx",
        queries=(
            Query(
                "sum(max_over_time("
                "job:http_requests:rate$window{$jobs}[$rate_interval]))",
                "requests",
            ),
            Query(
                "sum(max_over_time("
                "job:http_request_errors:rate$window{$jobs}[$rate_interval]))",
                "5xx",
            ),
        ),
        unit="reqps",
    ),
    Chart(
        **TEXTS.chart("Failed requests"),
        row="Request rate and 5xx",
        queries=(
            Query(
                "max by (job) (max_over_time("
                "job:http_request_errors:ratio_rate$window{$jobs}[$rate_interval]))",
                "{{job}}",
            ),
        ),
        unit="percentunit",
        limit="$limit",
    ),
    Chart(
        **TEXTS.chart("Requests by status"),
        row="Request rate and 5xx",
        queries=(
            Query(
                "sum by (status) (rate(http_requests_total{$targets}[$rate_interval]))",
                "{{status}}",
            ),
        ),
        unit="reqps",
        stacked=True,
    ),
    Chart(
        **TEXTS.chart("Failures by route"),
        row="Request rate and 5xx",
        queries=(
            Query(
                _routes(
                    "topk(5, sum by (method, route) (rate(http_requests_total"
                    f"{{$targets,{FAILED}}}[$rate_interval])))"
                ),
                "{{method}} {{route}}",
            ),
        ),
        unit="reqps",
    ),
)

DURATIONS = (
    Chart(
        **TEXTS.chart("Response time: p50, p95, p99"),
        row="Latency",
        queries=tuple(
            Query(
                f"max(max_over_time(job:{_LATENCY}:p{percent}_rate$window"
                "{$jobs}[$rate_interval]))",
                f"p{percent}",
            )
            for percent in (50, 95, 99)
        ),
        unit="s",
        limit="$limit",
    ),
    Chart(
        **TEXTS.chart("Slow requests"),
        row="Latency",
        queries=(
            Query(
                "max by (job) (max_over_time("
                "job:http_requests_slow:ratio_rate$window{$jobs}[$rate_interval]))",
                "{{job}}",
            ),
        ),
        unit="percentunit",
        limit="$share",
    ),
    Chart(
        **TEXTS.chart("Slowest routes, p95"),
        row="Latency",
        queries=(
            Query(
                _routes(
                    "topk(5, histogram_quantile(0.95, sum by (method, route, le)"
                    f" (rate({_LATENCY}_bucket{{$targets}}[$rate_interval]))))"
                ),
                "{{method}} {{route}}",
            ),
        ),
        unit="s",
    ),
    Chart(
        **TEXTS.chart("Requests in flight"),
        row="Latency",
        queries=(
            Query(
                "sum by (instance) (max_over_time("
                "http_requests_in_flight{$targets}[$rate_interval]))",
                "{{instance}}",
            ),
        ),
    ),
)
