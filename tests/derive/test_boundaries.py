"""Where each rule begins and ends, by promtool: what naive rules get wrong."""

from __future__ import annotations

import pytest
from tests.support import promtool
from tests.support.plans import planned, put

from watchroom.derive.rules import rules
from watchroom.formats import yamlfile
from watchroom.formats.rulefile import RuleFile, dump

pytestmark = [pytest.mark.judge, promtool.needed]
REQUESTS = 'http_requests_total{job="app",route="r%s",status="%s"} %s'
WEB = 'watchroom_processes{job="app",instance="%s",role="%s"} %s+0x40'
SERVED = (
    'http_requests_total{job="app",instance="%s",method="GET",route="r",status="200"}'
    " %s+0x40"
)
LIVEZ = 'health_livez{job="app",instance="%s"} %s+0x40'
# name: (series at 15 s, alert, at, labels, how many fire)
CASES = {
    "1.3% of failures spread over eight routes is too much": (
        [
            line
            for route in range(8)
            for line in (
                REQUESTS % (route, 200, "0+37.5x60"),
                REQUESTS % (route, 500, "0+0.5x60"),
            )
        ],
        ("HighErrorRate", "12m", 'job="app",severity="critical"', 1),
    ),
    "0.02% of a thousand requests a second is not": (
        [REQUESTS % (1, 200, "0+15000x60"), REQUESTS % (1, 500, "0+3x60")],
        ("HighErrorRate", "12m", "", 0),
    ),
    "one failure among ten requests is not": (
        [REQUESTS % (1, 200, "0 9 9+0x60"), REQUESTS % (1, 500, "0 1 1+0x60")],
        ("HighErrorRate", "6m", "", 0),
    ),
    "a total outage at one request in 45 s is": (
        [REQUESTS % (1, 500, " ".join(str(step // 3) for step in range(51)))],
        ("HighErrorRate", "11m30s", 'job="app"', 1),
    ),
    "lost requests count as failed ones": (
        [REQUESTS % (1, 200, "0+90x60"), REQUESTS % (1, "lost", "0+10x60")],
        ("HighErrorRate", "12m", "", 1),
    ),
    "no traffic is calm": (
        [REQUESTS % (1, 200, "7+0x60"), REQUESTS % (1, 500, "0+0x60")],
        ("HighErrorRate", "12m", "", 0),
    ),
    "requests of 1.2 s are below a limit of 2 s": (
        [
            'http_request_duration_seconds_bucket{job="app",le="1.0"} 0+0x80',
            'http_request_duration_seconds_bucket{job="app",le="2.0"} 0+30x80',
            'http_request_duration_seconds_bucket{job="app",le="+Inf"} 0+30x80',
            'http_request_duration_seconds_count{job="app"} 0+30x80',
        ],
        ("HighLatency", "18m", "", 0),
    ),
    "6% above 2 s are not, as Go spells the edge too": (
        [
            'http_request_duration_seconds_bucket{job="app",le="2"} 0+94x80',
            'http_request_duration_seconds_bucket{job="app",le="+Inf"} 0+100x80',
            'http_request_duration_seconds_count{job="app"} 0+100x80',
        ],
        ("HighLatency", "18m", 'job="app",severity="warning"', 1),
    ),
    "an idle cache is calm": (
        ['cache_gets_total{job="app",alias="a",role="web",result="miss"} 3+0x150'],
        ("CacheHitRateLow", "35m", "", 0),
    ),
    "a management command that warms a cache is calm": (
        ['cache_gets_total{job="app",alias="a",role="command",result="miss"} 0+90x150'],
        ("CacheHitRateLow", "35m", "", 0),
    ),
    "a host of workers is not down while another serves the web": (
        [WEB % ("a", "web", 4), WEB % ("b", "web", 0), WEB % ("b", "worker", 2)],
        ("AppDown", "3m", "", 0),
    ),
    "nor when its workers are gone": (
        [WEB % ("a", "web", 4), WEB % ("b", "web", 0), WEB % ("b", "worker", 0)],
        ("AppDown", "3m", "", 0),
    ),
    "nor is a host of beat alone, where nobody answers at the app's own address": (
        [
            *(WEB % ("a", "web", 4), WEB % ("b", "web", 0), WEB % ("b", "beat", 1)),
            *(SERVED % ("b", 0), LIVEZ % ("b", 0)),
        ],
        ("AppDown", "3m", "", 0),
    ),
    "a host that served before the monitor came is down": (
        [WEB % ("a", "web", 4), WEB % ("b", "web", 0), SERVED % ("b", 7)],
        ("AppDown", "75s", 'instance="b"', 1),
    ),
    "one that was seen to serve is, whatever else lives on it": (
        [
            WEB % ("a", "web", 4),
            'watchroom_processes{job="app",instance="b",role="web"} 2 0+0x40',
            WEB % ("b", "worker", 2),
        ],
        ("AppDown", "90s", 'instance="b"', 1),
    ),
    "when no host serves, each is down": (
        [WEB % ("a", "web", 0), WEB % ("b", "web", 0), WEB % ("b", "worker", 2)],
        ("AppDown", "75s", "", 2),
    ),
    "a host of both is down when no other serves": (
        [WEB % ("a", "web", 0), WEB % ("a", "worker", 3)],
        ("AppDown", "3m", 'instance="a"', 1),
    ),
    "another job's dead target warns": (
        ['up{job="postgres",instance="p"} 0+0x40'],
        ("TargetDown", "5m", 'severity="warning"', 1),
    ),
    "and does not page": (
        ['up{job="postgres",instance="p"} 0+0x40'],
        ("TargetDown", "5m", 'severity="critical"', 0),
    ),
    "the app's dead exporter pages": (
        ['up{job="app",instance="p"} 0+0x40'],
        ("TargetDown", "2m", 'severity="critical"', 1),
    ),
    "a target that fails is not absent": (
        ['up{job="app",instance="p"} 0+0x40'],
        ("AppAbsent", "6m", "", 0),
    ),
}


def case(name):
    lines, (alert, at, labels, count) = CASES[name]
    more = f",{labels}" if labels else ""
    expr = f'count(ALERTS{{alertname="{alert}",alertstate="firing"{more}}})'
    return {
        "name": name,
        "interval": "15s",
        "input_series": [
            {"series": head + "}", "values": values}
            for head, _, values in (line.partition("} ") for line in lines)
        ],
        "promql_expr_test": [
            {
                "expr": f"{expr} or vector(0)",
                "eval_time": at,
                "exp_samples": [{"labels": "{}", "value": count}],
            }
        ],
    }


def test_every_rule_begins_and_ends_where_it_says(tmp_path):
    """Each alert beside only what it reads: promtool evaluates all that it is given."""
    groups = rules(planned(interval="15s")).groups
    files = []
    for alert in sorted({alert for _, (alert, *_) in CASES.values()}):
        kept = [promtool.pruned(group, {alert}) for group in groups]
        rules_file = RuleFile([group for group in kept if group.rules])
        assert rules_file.groups
        tests = {
            "rule_files": [f"rules-{alert}.yml"],
            "evaluation_interval": "15s",
            "tests": [case(name) for name in CASES if CASES[name][1][0] == alert],
        }
        put(tmp_path, {f"rules-{alert}.yml": dump(rules_file)})
        put(tmp_path, {f"tests-{alert}.yml": yamlfile.dump(tests)})
        files.append(f"tests-{alert}.yml")
    promtool.run(tmp_path, *files)
