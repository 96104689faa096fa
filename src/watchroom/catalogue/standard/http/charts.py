"""HTTP over time: how much is asked, how much of it fails, how long it takes."""

from __future__ import annotations

from watchroom.catalogue.model import Chart, Query

_FAILED = 'status=~"5..|lost"'


def _routes(expr: str) -> str:
    """Return an expression with routes as paths, as alerts write them: /customers/.

    Without a capture group: Grafana takes ``$1`` for a variable of a dashboard.
    """
    joined = f'label_join({expr}, "route", "/", "nothing", "route")'
    return f'label_replace({joined}, "route", "/", "route", "//")'


_LATENCY = "http_request_duration_seconds"

FAILURES = (
    Chart(
        title="Requests and 5xx",
        description=(
            "Requests a second, and those of them that failed with 5xx or were "
            "lost with their process, each at its highest within each step."
        ),
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
        title="Failed requests",
        description=(
            "The share of requests that failed, at its worst within each step; "
            "HighErrorRate fires above $limit_words."
        ),
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
        title="Requests by status",
        description='Responses by status; "lost": the process died first.',
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
        title="Failures by route",
        description="At each moment the five routes with the most failures a second.",
        row="Request rate and 5xx",
        queries=(
            Query(
                _routes(
                    "topk(5, sum by (method, route) (rate(http_requests_total"
                    f"{{$targets,{_FAILED}}}[$rate_interval])))"
                ),
                "{{method}} {{route}}",
            ),
        ),
        unit="reqps",
    ),
)

DURATIONS = (
    Chart(
        title="Response time: p50, p95, p99",
        description=(
            "Half, 95% and 99% of the requests took no longer, at the worst of "
            "each step; HighLatency is about a p95 above $limit_words."
        ),
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
        title="Slow requests",
        description=(
            "The share that took longer than $limit_words, counted, not "
            "estimated; HighLatency fires above $share_words."
        ),
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
        title="Slowest routes, p95",
        description="At each moment the five routes with the highest 95th percentile.",
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
        title="Requests in flight",
        description=("Requests being answered; at the number of workers, others wait."),
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
