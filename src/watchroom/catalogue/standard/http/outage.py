"""HTTP outage: at least half of what is asked fails, and somebody must know at once."""

# ruff: noqa: E501 - commands and queries of a runbook are copied as one line

from __future__ import annotations

from watchroom.catalogue.model import Alert, Drill, Panel, Record, Runbook, Top, Vital
from watchroom.catalogue.standard import below

_FAILED = 'status=~"5..|lost"'
_REQUESTS = "http_requests_total"
_ASKED = "job:http_outage_requests:rate$window"
_LOST = "job:http_outage_errors:rate$window"
_SHARE = "job:http_outage_errors:ratio_rate$window"


def _drilled(status: str, values: str) -> str:
    return f'{_REQUESTS}{{method="GET",route="drill",status="{status}"}} {values}'


HTTP_OUTAGE = Vital(
    title="Requests failing now",
    metrics=(_REQUESTS,),
    group="http",
    unit="share",
    limit=0.5,
    window="1m",
    stretches=True,
    ignores_with="HighErrorRate",
    # Whatever was paged hours ago, that most requests fail now is said.
    symptom_of=below.HOST,
    # Enough of them that no handful of strays in a quiet night is an outage.
    parameters={"min_failures": "20"},
    records=(
        Record(_ASKED, f"sum by (job) (rate({_REQUESTS}[$window]))"),
        Record(
            _LOST,
            f"sum by (job) (rate({_REQUESTS}{{{_FAILED}}}[$window]))"
            f" or on (job) {_ASKED} * 0",
        ),
        Record(_SHARE, f"{_LOST} / on (job) ({_ASKED} > 0)"),
    ),
    alerts=(
        Alert(
            name="HttpOutage",
            # A rate times its seconds is a whole number but for the last bit.
            expr=(
                f"{_SHARE} >= $limit"
                f" and on (job) round({_LOST} * $window_seconds, 0.1) >= $min_failures"
            ),
            for_="15s",
            severity="critical",
            priority="P1",
            summary=(
                "Outage: {{ $value | humanizePercentage }} of requests to "
                "{{ $labels.job }} fail"
            ),
            description=(
                "Within $window_words, at least $limit_words of the requests, and "
                "$min_failures or more, failed with 5xx or were lost with their process."
            ),
            top=Top(
                f"topk(3, sum by (method, route) (increase({_REQUESTS}"
                f'{{job="$labels.job",{_FAILED}}}[$window])) > 0)',
                '{{ .Labels.method }} {{ if ne .Labels.route "/" }}/{{ end }}'
                '{{ .Labels.route }} ({{ .Value | printf "%.0f" }})',
                "Most failures: ",
            ),
            runbook=Runbook(
                meaning=(
                    "Within $window_words, $limit_words of the requests or more were "
                    "answered with a 5xx status or got no answer because their process "
                    "died (status `lost`), and there were at least $min_failures of "
                    "them. It pages within a minute; HighErrorRate, which "
                    "waits longer, is about smaller shares."
                ),
                impact="Most people who use the site now see an error page.",
                diagnosis=f"""\
What fails, by route and status, in the last minutes:

```promql
topk(10, sum by (method, route, status) (increase({_REQUESTS}{{{_FAILED}}}[2m])) > 0)
```

All routes at once: look at what they share, first the database and the cache.

```promql
sum by (alias) (increase(db_query_errors_total[2m]))
```

```promql
sum by (alias) (increase(cache_errors_total[2m]))
```

Which release runs, and did it change just now?

```promql
count by (release) (watchroom_release_info)
```

```sh
curl -s $exporter/metrics | grep -E 'status="(5..|lost)"' | grep -v ' 0$'
journalctl -n 100 --no-pager -u YOUR-APP.service
```

Your error tracker has the newest exception.""",
                mitigation="""\
- Deployed in the last hour: roll back first, look for the reason afterwards.
- One dependency fails: bring it back, or switch off what needs it.
- Status `lost`: processes die; look for `Out of memory` in the kernel's log, restart with
  fewer workers.
- It takes longer than minutes: put up a maintenance page at the proxy.""",
            ),
            drill=Drill(
                fault=(_drilled("200", "0+0x$steps"), _drilled("500", "0+20x$steps")),
                recovery=(_drilled("200", "10000000+5x$steps"),),
                # As many failures as it takes, beside as many good answers and one more.
                calm=(_drilled("200", "0+21x$steps"), _drilled("500", "0+20x$steps")),
            ),
        ),
    ),
    panel=Panel(
        expr=f"max({_SHARE}{{$real}})",
        presence=f"count({_REQUESTS}{{$real}})",
        unit="percentunit",
        decimals=1,
    ),
)

VITALS = (HTTP_OUTAGE,)
