"""HTTP: the share of requests that fail, and the share that is slow."""

# ruff: noqa: E501 - commands and queries of a runbook are copied as one line

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    ChecklistItem,
    Drill,
    Panel,
    Record,
    Runbook,
    Top,
    Vital,
)
from watchroom.catalogue.standard import below
from watchroom.catalogue.standard.http import charts

# The root's own label is "/"; every other route is Django's, without it.
_OFFENDER = (
    '{{ .Labels.method }} {{ if ne .Labels.route "/" }}/{{ end }}{{ .Labels.route }} '
    '({{ .Value | printf "%.0f" }})'
)
_FAILED = 'status=~"5..|lost"'

HIGH_ERROR_RATE = Vital(
    title="Failed requests",
    charts=charts.FAILURES,
    metrics=("http_requests_total",),
    group="http",
    symptom_of=(*below.REQUESTS, "HttpOutage"),
    unit="share",
    limit=0.01,
    # A guard on failures, not on requests: a total outage at one request per minute
    # still pages, one failure among ten requests does not.
    parameters={"min_failures": "5"},
    records=(
        Record(
            "job:http_requests:rate$window",
            "sum by (job) (rate(http_requests_total[$window]))",
        ),
        Record(
            "job:http_request_errors:rate$window",
            f"sum by (job) (rate(http_requests_total{{{_FAILED}}}[$window]))"
            " or on (job) job:http_requests:rate$window * 0",
        ),
        Record(
            "job:http_request_errors:ratio_rate$window",
            "job:http_request_errors:rate$window"
            " / on (job) (job:http_requests:rate$window > 0)",
        ),
    ),
    alerts=(
        Alert(
            name="HighErrorRate",
            expr=(
                "job:http_request_errors:ratio_rate$window > $limit"
                " and on (job) job:http_request_errors:rate$window"
                " * $window_seconds >= $min_failures"
            ),
            for_="5m",
            severity="critical",
            priority="P1",
            summary=(
                "{{ $value | humanizePercentage }} of requests to {{ $labels.job }} fail"
            ),
            description=(
                "More than $limit_words of the requests of the last $window_words "
                "failed with 5xx or were lost with their process."
            ),
            top=Top(
                "topk(3, sum by (method, route) (increase(http_requests_total"
                f'{{job="$labels.job",{_FAILED}}}[$window])) > 0)',
                _OFFENDER,
                "Most failures: ",
            ),
            runbook=Runbook(
                meaning=(
                    "More than $limit_words of all requests were answered with a 5xx "
                    "status, or got no answer because their process died (status "
                    "`lost`), for $for_words."
                ),
                impact=(
                    "People see error pages and what they were doing is not done. "
                    "Payments, forms and API calls may be half finished."
                ),
                diagnosis=f"""\
Which routes fail, and since when:

```promql
topk(10, sum by (method, route, status) (increase(http_requests_total{{{_FAILED}}}[15m])) > 0)
```

Everything at once points at a dependency or a deploy, one route at its code:

```promql
sum by (route) (rate(http_requests_total{{{_FAILED}}}[5m])) / sum by (route) (rate(http_requests_total[5m]) > 0)
```

Status `lost` means that processes die in the middle of requests (out of memory, killed
by a time-out of the server). Errors of the database and the cache beside it:

```promql
sum by (alias) (rate(db_query_errors_total[5m]))
```

```promql
sum by (alias) (rate(cache_errors_total[5m]))
```

What the exporter says right now, without any monitor between:

```sh
curl -s $exporter/metrics | grep -E 'status="(5..|lost)"' | grep -v ' 0$'
```

Then the newest errors in your error tracker, and what was deployed last.""",
                mitigation="""\
- Began with a deploy: roll it back first, look for the reason afterwards.
- One route only: switch the feature off, or answer it with 503 at the proxy.
- A dependency is down: bring it back; see its own alerts and runbooks.
- Processes die: give them memory, or restart them with fewer requests per worker.""",
            ),
            drill=Drill(
                fault=(
                    (
                        'http_requests_total{method="GET",route="drill",status="200"}'
                        " 0+0x$steps"
                    ),
                    (
                        'http_requests_total{method="GET",route="drill",status="500"}'
                        " 0+5x$steps"
                    ),
                ),
                recovery=(
                    (
                        'http_requests_total{method="GET",route="drill",status="200"}'
                        " 10000000+5x$steps"
                    ),
                ),
                calm=(
                    (
                        'http_requests_total{method="GET",route="drill",status="200"}'
                        " 0+100000x$steps"
                    ),
                    (
                        'http_requests_total{method="GET",route="drill",status="500"}'
                        " 0+1x$steps"
                    ),
                ),
            ),
        ),
    ),
    panel=Panel(
        expr="max(job:http_request_errors:ratio_rate$window{$real})",
        presence="count(http_requests_total{$real})",
        unit="percentunit",
        decimals=2,
    ),
    blind=Blind(
        name="RequestsUnobserved",
        priority="P2",
        why=(
            "The exporter shows a zero of this metric even before the first request. "
            "Without it, something else answers in its place, or the samples are "
            "dropped between the two."
        ),
        remedy=(
            "- Another program answers on the exporter's port: look at what `curl` "
            "shows above.\n"
            "- A `sample_limit` or a relabelling of your own drops it: look at the "
            "job in prometheus.yml."
        ),
    ),
    checklist=ChecklistItem("alerting-rules", "Alerting rules validated"),
)

_LATENCY = "http_request_duration_seconds"

HIGH_LATENCY = Vital(
    title="Response time, p95",
    charts=charts.DURATIONS,
    metrics=(_LATENCY,),
    group="http",
    symptom_of=(
        *below.REQUESTS,
        "HttpOutage",
        "DatabaseQuerySlow",
        "CacheHitRateLow",
    ),
    unit="seconds",
    limit=2.0,
    # 5% above the limit is a p95 above the limit, without a quantile's interpolation.
    parameters={"share": "0.05", "share_words": "5%", "min_slow": "5"},
    records=(
        Record(
            f"job_le:{_LATENCY}_bucket:rate$window",
            f"sum by (job, le) (rate({_LATENCY}_bucket[$window]))",
        ),
        *(
            Record(
                f"job:{_LATENCY}:p{percent}_rate$window",
                f"histogram_quantile(0.{percent},"
                f" job_le:{_LATENCY}_bucket:rate$window)",
            )
            for percent in (50, 95, 99)
        ),
        Record(
            "job:http_requests_slow:rate$window",
            f"sum by (job) (rate({_LATENCY}_count[$window])) - on (job)"
            f' sum by (job) (rate({_LATENCY}_bucket{{le=~"$limit_le"}}[$window]))',
        ),
        Record(
            "job:http_requests_slow:ratio_rate$window",
            "job:http_requests_slow:rate$window / on (job)"
            f" (sum by (job) (rate({_LATENCY}_count[$window])) > 0)",
        ),
    ),
    alerts=(
        Alert(
            name="HighLatency",
            expr=(
                "job:http_requests_slow:ratio_rate$window > $share"
                " and on (job) job:http_requests_slow:rate$window"
                " * $window_seconds >= $min_slow"
            ),
            for_="10m",
            severity="warning",
            priority="P2",
            summary=(
                "{{ $value | humanizePercentage }} of requests to {{ $labels.job }} "
                "take longer than $limit_words"
            ),
            description=(
                "The p95 of the last $window_words is above $limit_words: more than "
                "$share_words of the requests took longer."
            ),
            top=Top(
                f"topk(3, sum by (method, route) (increase({_LATENCY}_count"
                '{job="$labels.job"}[$window]))'
                f" - sum by (method, route) (increase({_LATENCY}_bucket"
                '{job="$labels.job",le=~"$limit_le"}[$window])) > 0)',
                _OFFENDER,
                "Most slow requests: ",
            ),
            runbook=Runbook(
                meaning=(
                    "More than $share_words of the requests took longer than "
                    "$limit_words for $for_words. It is counted from the bucket whose "
                    "edge is the limit, so nothing is estimated."
                ),
                impact=(
                    "Pages feel stuck, people press reload and make it worse, and "
                    "callers with short time-outs see failures."
                ),
                diagnosis=f"""\
Which routes are slow:

```promql
topk(10, histogram_quantile(0.95, sum by (route, le) (rate({_LATENCY}_bucket[5m]))))
```

Is it the database? Compare with the time that its queries take:

```promql
topk(10, histogram_quantile(0.95, sum by (alias, le) (rate(db_query_duration_seconds_bucket[5m]))))
```

Or waiting for a free worker? Requests in flight that stay at the number of workers say
so:

```promql
max by (instance) (http_requests_in_flight)
```

```sh
curl -s $exporter/metrics | grep -E '^(http_requests_in_flight|watchroom_processes)'
```
""",
                mitigation="""\
- All workers busy: add workers or machines, then look for what keeps them busy.
- One route: cache it, page it, or move its work to a task.
- The database: see the runbook DatabaseQuerySlow.
- Began with a deploy: roll it back.""",
            ),
            drill=Drill(
                fault=(
                    (
                        f'{_LATENCY}_bucket{{method="GET",route="drill",le="$limit_edge"}}'
                        " 0+0x$steps"
                    ),
                    (
                        f'{_LATENCY}_bucket{{method="GET",route="drill",le="+Inf"}}'
                        " 0+5x$steps"
                    ),
                    f'{_LATENCY}_count{{method="GET",route="drill"}} 0+5x$steps',
                    f'{_LATENCY}_sum{{method="GET",route="drill"}} 0+60x$steps',
                ),
                recovery=(
                    (
                        f'{_LATENCY}_bucket{{method="GET",route="drill",le="$limit_edge"}}'
                        " 10000000+5x$steps"
                    ),
                    (
                        f'{_LATENCY}_bucket{{method="GET",route="drill",le="+Inf"}}'
                        " 10000000+5x$steps"
                    ),
                    f'{_LATENCY}_count{{method="GET",route="drill"}} 10000000+5x$steps',
                    f'{_LATENCY}_sum{{method="GET",route="drill"}} 100000+1x$steps',
                ),
                calm=(
                    (
                        f'{_LATENCY}_bucket{{method="GET",route="drill",le="$limit_edge"}}'
                        " 0+96x$steps"
                    ),
                    (
                        f'{_LATENCY}_bucket{{method="GET",route="drill",le="+Inf"}}'
                        " 0+100x$steps"
                    ),
                    f'{_LATENCY}_count{{method="GET",route="drill"}} 0+100x$steps',
                    f'{_LATENCY}_sum{{method="GET",route="drill"}} 0+20x$steps',
                ),
            ),
        ),
    ),
    panel=Panel(
        expr=f"max(job:{_LATENCY}:p95_rate$window{{$real}})",
        # Before the first request there is nothing to time.
        presence=(
            f'count({_LATENCY}_bucket{{$real,le=~"$limit_le"}}'
            " or sum by (job) (http_requests_total{$real}) == 0)"
        ),
        unit="s",
        decimals=2,
    ),
    blind=Blind(
        name="LatencyUnobserved",
        why=(
            "Requests are counted and none is timed, or no bucket ends at the limit of "
            "$limit_words: the processes were started before the limit was changed, or "
            "another exporter answers under this address."
        ),
        remedy=(
            "- The limit was changed: restart the web processes, so that their buckets "
            "have its edge.\n"
            "- Series are dropped (`watchroom_series_dropped_total`): raise "
            "WATCHROOM['MAX_SERIES']."
        ),
    ),
)

VITALS = (HIGH_ERROR_RATE, HIGH_LATENCY)
