"""HTTP: the share of requests that fail, and the share that is slow."""

from __future__ import annotations

from functools import partial

from watchroom.catalogue.model import (
    Alert,
    Blind,
    ChecklistItem,
    Drill,
    Panel,
    Record,
    Top,
    Vital,
)
from watchroom.catalogue.prose import beside
from watchroom.catalogue.standard import below
from watchroom.catalogue.standard.drilled import answered, durations
from watchroom.catalogue.standard.http import FAILED, charts

TEXTS = beside(__name__)

# The root's own label is "/"; every other route is Django's, without it.
_OFFENDER = (
    '{{ .Labels.method }} {{ if ne .Labels.route "/" }}/{{ end }}{{ .Labels.route }} '
    '({{ .Value | printf "%.0f" }})'
)

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
            f"sum by (job) (rate(http_requests_total{{{FAILED}}}[$window]))"
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
            **TEXTS.alert("HighErrorRate"),
            expr=(
                "job:http_request_errors:ratio_rate$window > $limit"
                " and on (job) job:http_request_errors:rate$window"
                " * $window_seconds >= $min_failures"
            ),
            for_="5m",
            severity="critical",
            priority="P1",
            top=Top(
                "topk(3, sum by (method, route) (increase(http_requests_total"
                f'{{job="$labels.job",{FAILED}}}[$window])) > 0)',
                _OFFENDER,
                "Most failures: ",
            ),
            drill=Drill(
                fault=(
                    answered("200", "0+0x$steps"),
                    answered("500", "0+5x$steps"),
                ),
                recovery=(answered("200", "10000000+5x$steps"),),
                calm=(
                    answered("200", "0+100000x$steps"),
                    answered("500", "0+1x$steps"),
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
    blind=Blind(**TEXTS.unseen("RequestsUnobserved"), priority="P2"),
    checklist=ChecklistItem("alerting-rules", "Alerting rules validated"),
)

_LATENCY = "http_request_duration_seconds"
_timed = partial(durations, _LATENCY, 'method="GET",route="drill"')

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
            **TEXTS.alert("HighLatency"),
            expr=(
                "job:http_requests_slow:ratio_rate$window > $share"
                " and on (job) job:http_requests_slow:rate$window"
                " * $window_seconds >= $min_slow"
            ),
            for_="10m",
            severity="warning",
            priority="P2",
            top=Top(
                f"topk(3, sum by (method, route) (increase({_LATENCY}_count"
                '{job="$labels.job"}[$window]))'
                f" - sum by (method, route) (increase({_LATENCY}_bucket"
                '{job="$labels.job",le=~"$limit_le"}[$window])) > 0)',
                _OFFENDER,
                "Most slow requests: ",
            ),
            drill=Drill(
                fault=_timed(quick=0, every=5, total="0+60"),
                recovery=_timed(quick=5, every=5, total="100000+1", start=10000000),
                calm=_timed(quick=96, every=100, total="0+20"),
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
    blind=Blind(**TEXTS.unseen("LatencyUnobserved")),
)

VITALS = (HIGH_ERROR_RATE, HIGH_LATENCY)
