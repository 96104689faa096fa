"""The database over time: how long its queries take, how many, how many fail."""

from __future__ import annotations

from watchroom.catalogue.model import Chart, Query

_DURATION = "db_query_duration_seconds"

QUERIES = (
    Chart(
        title="Query time, p95",
        description=(
            "95% of the queries of web processes and workers took no longer, at "
            "the worst of each step; DatabaseQuerySlow is about $limit_words."
        ),
        row="Database",
        queries=(
            Query(
                "max by (alias) (max_over_time("
                f"job_alias:{_DURATION}:p95_rate$window{{$jobs}}[$rate_interval]))",
                "{{alias}}",
            ),
        ),
        unit="s",
        limit="$limit",
    ),
    Chart(
        title="Queries",
        description="Queries a second, by database and kind of process.",
        row="Database",
        queries=(
            Query(
                f"sum by (alias, role) (rate({_DURATION}_count{{$targets}}"
                "[$rate_interval]))",
                "{{alias}} {{role}}",
            ),
        ),
        unit="ops",
    ),
    Chart(
        title="Query errors",
        description="Queries that raised, a second.",
        row="Database",
        queries=(
            Query(
                "sum by (alias) (rate(db_query_errors_total{$targets}"
                "[$rate_interval])) or sum by (alias)"
                f" (rate({_DURATION}_count{{$targets}}[$rate_interval])) * 0",
                "{{alias}}",
            ),
        ),
        unit="ops",
    ),
)
