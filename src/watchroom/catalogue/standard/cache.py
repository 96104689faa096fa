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
    Runbook,
    Vital,
)
from watchroom.catalogue.standard import below

_ROLES = 'role=~"web|worker"'
_DRILL = 'alias="drill",role="web"'

_HITS_CHARTS = (
    Chart(
        title="Cache hit rate",
        description=(
            "The share of the keys asked for that were there, at the worst of "
            "each step; CacheHitRateLow fires below $limit_words."
        ),
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
        title="Cache reads",
        description="Keys asked for a second, found and missed.",
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
            name="CacheHitRateLow",
            expr=(
                "job_alias:cache_hits:ratio_rate$window < $limit"
                " and on (job, alias) job_alias:cache_misses:rate$window"
                " * $window_seconds >= $min_misses"
            ),
            for_="15m",
            severity="warning",
            priority="P3",
            summary=(
                "The cache {{ $labels.alias }} of {{ $labels.job }} answers only "
                "{{ $value | humanizePercentage }} of its reads"
            ),
            description=(
                "Fewer than $limit_words of the reads of the last $window_words were "
                "hits; the rest is work done again."
            ),
            runbook=Runbook(
                meaning=(
                    "For $for_words, fewer than $limit_words of the keys that web "
                    "processes and workers asked a cache for were in it."
                ),
                impact=(
                    "The work that the cache should save falls on the database. "
                    "Latency rises first, then query times."
                ),
                diagnosis="""\
Which cache, and since when:

```promql
sum by (alias, result) (rate(cache_gets_total[15m]))
```

Is the server answering at all? Errors count as misses for most backends:

```promql
sum by (alias) (rate(cache_errors_total[15m]))
```

On Redis, a full memory throws keys out early:

```sh
redis-cli info stats | grep -E 'evicted_keys|expired_keys'
redis-cli info memory | grep -E 'used_memory_human|maxmemory_human'
```

Then look for a deploy that changed KEY_PREFIX, VERSION or how keys are made, and for
clear() in code that runs often.""",
                mitigation="""\
- Just deployed or restarted: wait until it is warm; one window is enough to see it.
- Keys are evicted: give it memory, or shorten the time-outs of the large ones.
- Keys changed: warm the expensive ones by hand.
- The server is gone: bring it back; keep an eye on DatabaseQuerySlow meanwhile.""",
            ),
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
    blind=Blind(
        name="CacheUnobserved",
        why=(
            "Processes live and none counts the reads of any cache. `watchroom` is "
            "missing in INSTALLED_APPS of their settings, or the instrument failed:\n\n"
            "```promql\nsum by (instrument) (watchroom_instrument_errors_total)\n```"
        ),
        remedy=(
            "- Errors of the instrument `cache`: the processes' log has the first.\n"
            "- The processes are older than the configuration of the cache: restart "
            "them."
        ),
    ),
)

VITALS = (CACHE_HIT_RATE_LOW,)
