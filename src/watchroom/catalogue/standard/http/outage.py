"""HTTP outage: at least half of the requests fail, which must page at once."""

from __future__ import annotations

from watchroom.catalogue.model import Alert, Drill, Panel, Record, Top, Vital
from watchroom.catalogue.prose import beside
from watchroom.catalogue.standard import below
from watchroom.catalogue.standard.drilled import answered
from watchroom.catalogue.standard.http import FAILED

TEXTS = beside(__name__)

_REQUESTS = "http_requests_total"
_ASKED = "job:http_outage_requests:rate$window"
_LOST = "job:http_outage_errors:rate$window"
_SHARE = "job:http_outage_errors:ratio_rate$window"


HTTP_OUTAGE = Vital(
    title="Requests failing now",
    metrics=(_REQUESTS,),
    group="http",
    unit="share",
    limit=0.5,
    window="1m",
    stretches=True,
    ignores_with="HighErrorRate",
    # An older page of another fault doesn't mute it: most requests fail now.
    symptom_of=below.HOST,
    # Enough of them that no handful of strays in a quiet night is an outage.
    parameters={"min_failures": "20"},
    records=(
        Record(_ASKED, f"sum by (job) (rate({_REQUESTS}[$window]))"),
        Record(
            _LOST,
            f"sum by (job) (rate({_REQUESTS}{{{FAILED}}}[$window]))"
            f" or on (job) {_ASKED} * 0",
        ),
        Record(_SHARE, f"{_LOST} / on (job) ({_ASKED} > 0)"),
    ),
    alerts=(
        Alert(
            **TEXTS.alert("HttpOutage"),
            # A rate times its seconds is a whole number but for the last bit.
            expr=(
                f"{_SHARE} >= $limit"
                f" and on (job) round({_LOST} * $window_seconds, 0.1) >= $min_failures"
            ),
            for_="15s",
            severity="critical",
            priority="P1",
            top=Top(
                f"topk(3, sum by (method, route) (increase({_REQUESTS}"
                f'{{job="$labels.job",{FAILED}}}[$window])) > 0)',
                '{{ .Labels.method }} {{ if ne .Labels.route "/" }}/{{ end }}'
                '{{ .Labels.route }} ({{ .Value | printf "%.0f" }})',
                "Most failures: ",
            ),
            drill=Drill(
                fault=(
                    answered("200", "0+0x$steps"),
                    answered("500", "0+20x$steps"),
                ),
                recovery=(answered("200", "10000000+5x$steps"),),
                # As many failures as it takes, and one good answer more than those.
                calm=(
                    answered("200", "0+21x$steps"),
                    answered("500", "0+20x$steps"),
                ),
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
