"""The database as the app feels it: how long its queries take."""

from __future__ import annotations

from functools import partial

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    Drill,
    Panel,
    Query,
    Record,
    Vital,
)
from watchroom.catalogue.prose import beside
from watchroom.catalogue.standard.drilled import durations

TEXTS = beside(__name__)

_DURATION = "db_query_duration_seconds"
# Management commands may take their time; they page nobody.
_ROLES = 'role=~"web|worker"'
_timed = partial(durations, _DURATION, 'alias="drill",role="web"')

_QUERIES_CHARTS = (
    Chart(
        **TEXTS.chart("Query time, p95"),
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
        **TEXTS.chart("Queries"),
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
        **TEXTS.chart("Query errors"),
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
            **TEXTS.alert("DatabaseQuerySlow"),
            expr=(
                "job_alias:db_queries_slow:ratio_rate$window > $share"
                " and on (job, alias) job_alias:db_queries_slow:rate$window"
                " * $window_seconds >= $min_slow"
            ),
            for_="10m",
            severity="warning",
            priority="P2",
            drill=Drill(
                labels={"alias": "drill"},
                fault=_timed(quick=0, every=5, total="0+30"),
                recovery=_timed(quick=5, every=5, total="100000+1", start=10000000),
                calm=(
                    *_timed(quick=96, every=100, total="0+10"),
                    f'{_DURATION}_count{{alias="drill",role="command"}} 0+100x$steps',
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
    blind=Blind(**TEXTS.unseen("QueriesUnobserved")),
)

VITALS = (DATABASE_QUERY_SLOW,)
