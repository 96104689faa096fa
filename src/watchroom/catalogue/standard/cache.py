"""The cache as the app feels it: the share of reads that it answers.

The hit rate of a Redis server is another number: a Celery broker on the same server
adds misses of its own to it (measured on Redis 7.0.15), so it is not used here.
"""

from __future__ import annotations

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
from watchroom.catalogue.standard import below

TEXTS = beside(__name__)

_ROLES = 'role=~"web|worker"'
_DRILL = 'alias="drill",role="web"'

_HITS_CHARTS = (
    Chart(
        **TEXTS.chart("Cache hit rate"),
        row="Cache",
        queries=(
            Query(
                "min by (alias) (min_over_time(job_alias:cache_hits:ratio_rate"
                "$window{$jobs}[$rate_interval]))",
                "{{alias}}",
            ),
        ),
        unit="percentunit",
        limit="$limit",
        bad="below",
    ),
    Chart(
        **TEXTS.chart("Cache reads"),
        row="Cache",
        queries=(
            Query(
                "sum by (alias, result)"
                " (rate(cache_gets_total{$targets}[$rate_interval]))",
                "{{alias}} {{result}}",
            ),
        ),
        unit="ops",
        stacked=True,
    ),
)

CACHE_HIT_RATE_LOW = Vital(
    title="Cache hit rate",
    charts=_HITS_CHARTS,
    metrics=("cache_gets_total",),
    group="cache",
    symptom_of=below.REQUESTS,
    unit="share",
    limit=0.7,
    window="15m",
    needs="cache",
    parameters={"min_misses": "50"},
    records=(
        Record(
            "job_alias:cache_gets:rate$window",
            f"sum by (job, alias) (rate(cache_gets_total{{{_ROLES}}}[$window]))",
        ),
        Record(
            "job_alias:cache_misses:rate$window",
            "sum by (job, alias)"
            f' (rate(cache_gets_total{{{_ROLES},result="miss"}}[$window]))',
        ),
        Record(
            "job_alias:cache_hits:ratio_rate$window",
            "1 - job_alias:cache_misses:rate$window / on (job, alias)"
            " (job_alias:cache_gets:rate$window > 0)",
        ),
    ),
    alerts=(
        Alert(
            **TEXTS.alert("CacheHitRateLow"),
            expr=(
                "job_alias:cache_hits:ratio_rate$window < $limit"
                " and on (job, alias) job_alias:cache_misses:rate$window"
                " * $window_seconds >= $min_misses"
            ),
            for_="15m",
            severity="warning",
            priority="P3",
            drill=Drill(
                labels={"alias": "drill"},
                fault=(
                    f'cache_gets_total{{{_DRILL},result="hit"}} 0+0x$steps',
                    f'cache_gets_total{{{_DRILL},result="miss"}} 0+50x$steps',
                ),
                recovery=(
                    f'cache_gets_total{{{_DRILL},result="hit"}} 10000000+50x$steps',
                ),
                calm=(
                    f'cache_gets_total{{{_DRILL},result="hit"}} 0+9900x$steps',
                    f'cache_gets_total{{{_DRILL},result="miss"}} 0+50x$steps',
                ),
            ),
        ),
    ),
    panel=Panel(
        expr="min(job_alias:cache_hits:ratio_rate$window{$real})",
        # Before the first process there is nobody to ask.
        presence=(
            f"count(cache_gets_total{{$real,{_ROLES}}}"
            f" or sum by (job) (watchroom_processes{{$real,{_ROLES}}}) == 0)"
        ),
        unit="percentunit",
        bad="below",
        decimals=1,
    ),
    blind=Blind(**TEXTS.unseen("CacheUnobserved")),
)

VITALS = (CACHE_HIT_RATE_LOW,)
