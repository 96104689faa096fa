"""The database as the app feels it: how long its queries take."""

# ruff: noqa: E501, S608 - commands and queries of a runbook are copied as one line

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    Drill,
    Panel,
    Query,
    Record,
    Runbook,
    Vital,
)

_DURATION = "db_query_duration_seconds"
# Management commands may take their time; they page nobody.
_ROLES = 'role=~"web|worker"'
_DRILL = 'alias="drill",role="web"'

_QUERIES_CHARTS = (
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

DATABASE_QUERY_SLOW = Vital(
    title="Query time, p95",
    charts=_QUERIES_CHARTS,
    metrics=(_DURATION,),
    group="database",
    symptom_of=("AppDown", "DatabaseDown", "DatabaseConnectionsHigh"),
    unit="seconds",
    limit=1.0,
    needs="database",
    parameters={"share": "0.05", "share_words": "5%", "min_slow": "5"},
    records=(
        Record(
            f"job_alias:{_DURATION}:p95_rate$window",
            f"histogram_quantile(0.95, sum by (job, alias, le)"
            f" (rate({_DURATION}_bucket{{{_ROLES}}}[$window])))",
        ),
        Record(
            "job_alias:db_queries_slow:rate$window",
            f"sum by (job, alias) (rate({_DURATION}_count{{{_ROLES}}}[$window]))"
            " - on (job, alias) sum by (job, alias)"
            f' (rate({_DURATION}_bucket{{{_ROLES},le=~"$limit_le"}}[$window]))',
        ),
        Record(
            "job_alias:db_queries_slow:ratio_rate$window",
            "job_alias:db_queries_slow:rate$window / on (job, alias)"
            " (sum by (job, alias)"
            f" (rate({_DURATION}_count{{{_ROLES}}}[$window])) > 0)",
        ),
    ),
    alerts=(
        Alert(
            name="DatabaseQuerySlow",
            expr=(
                "job_alias:db_queries_slow:ratio_rate$window > $share"
                " and on (job, alias) job_alias:db_queries_slow:rate$window"
                " * $window_seconds >= $min_slow"
            ),
            for_="10m",
            severity="warning",
            priority="P2",
            summary=(
                "{{ $value | humanizePercentage }} of the queries to the database "
                "{{ $labels.alias }} take longer than $limit_words"
            ),
            description=(
                "More than $share_words of the queries that web processes and workers "
                "of {{ $labels.job }} sent to the database {{ $labels.alias }} in the "
                "last $window_words took longer than $limit_words."
            ),
            runbook=Runbook(
                meaning=(
                    "For $for_words, more than $share_words of the queries to one "
                    "database took longer than $limit_words. Management commands do "
                    "not count."
                ),
                impact=(
                    "Pages that need the database are slow, workers are held up and "
                    "queues grow. It often comes before HighLatency."
                ),
                diagnosis=f"""\
Which database, and which kind of process asks:

```promql
histogram_quantile(0.95, sum by (alias, role, le) (rate({_DURATION}_bucket[5m])))
```

More queries than before, or slower ones?

```promql
sum by (alias, role) (rate({_DURATION}_count[5m]))
```

On PostgreSQL, what runs now and what waits for a lock:

```sh
psql -c "select pid, state, wait_event_type, now() - query_start as age, left(query, 80) from pg_stat_activity where state <> 'idle' order by age desc limit 20"
```

On SQLite, a long write transaction holds up all others:

```sh
curl -s $exporter/metrics | grep -E '^db_query_(errors_total|duration_seconds_(sum|count))'
```
""",
                mitigation="""\
- A query that blocks others: `select pg_cancel_backend(PID)`.
- A query without an index: add it concurrently; until then switch the feature off.
- Too many queries per page (N+1): select_related, prefetch_related.
- The machine is full: stop reports and batch jobs first.""",
            ),
            drill=Drill(
                labels={"alias": "drill"},
                fault=(
                    f'{_DURATION}_bucket{{{_DRILL},le="$limit_edge"}} 0+0x$steps',
                    f'{_DURATION}_bucket{{{_DRILL},le="+Inf"}} 0+5x$steps',
                    f"{_DURATION}_count{{{_DRILL}}} 0+5x$steps",
                    f"{_DURATION}_sum{{{_DRILL}}} 0+30x$steps",
                ),
                recovery=(
                    (
                        f'{_DURATION}_bucket{{{_DRILL},le="$limit_edge"}}'
                        " 10000000+5x$steps"
                    ),
                    f'{_DURATION}_bucket{{{_DRILL},le="+Inf"}} 10000000+5x$steps',
                    f"{_DURATION}_count{{{_DRILL}}} 10000000+5x$steps",
                    f"{_DURATION}_sum{{{_DRILL}}} 100000+1x$steps",
                ),
                calm=(
                    f'{_DURATION}_bucket{{{_DRILL},le="$limit_edge"}} 0+96x$steps',
                    f'{_DURATION}_bucket{{{_DRILL},le="+Inf"}} 0+100x$steps',
                    f"{_DURATION}_count{{{_DRILL}}} 0+100x$steps",
                    f'{_DURATION}_count{{alias="drill",role="command"}} 0+100x$steps',
                    f"{_DURATION}_sum{{{_DRILL}}} 0+10x$steps",
                ),
            ),
        ),
    ),
    panel=Panel(
        expr=f"max(job_alias:{_DURATION}:p95_rate$window{{$real}})",
        # Before the first process there is nobody to ask.
        presence=(
            f'count({_DURATION}_bucket{{$real,{_ROLES},le=~"$limit_le"}}'
            f" or sum by (job) (watchroom_processes{{$real,{_ROLES}}}) == 0)"
        ),
        unit="s",
        decimals=3,
    ),
    blind=Blind(
        name="QueriesUnobserved",
        why=(
            "Processes live and none has a series for its queries, or no bucket ends "
            "at the limit of $limit_words. `watchroom` is missing in INSTALLED_APPS of "
            "their settings, an instrument failed, or they were started before the "
            "limit was changed:\n\n"
            "```promql\nsum by (instrument) (watchroom_instrument_errors_total)\n```"
        ),
        remedy=(
            "- The limit was changed: restart the processes.\n"
            "- Errors of the instrument `database`: the processes' log has the first."
        ),
    ),
)

VITALS = (DATABASE_QUERY_SLOW,)
