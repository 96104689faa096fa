"""A counter that begins with its event is counted whole, by both engines."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest
from tests.support import promtool, replay
from tests.support.plans import built, planned
from tests.support.promtool import case, firing

from watchroom.derive import births

A = 'job="app",instance="a"'
B = 'job="app",instance="b"'
UP = f"up{{{A}}}"
HTTP = 'http_requests_total{%s,method="%s",route="shop",status="%s"}'
TASK = f'celery_task_failed_total{{{A},name="mail"}}'
SENT = 'alertmanager_notifications_failed_total{job="alertmanager",instance="m",%s}'
TIMED = 'http_request_duration_seconds_%s{%s,method="GET",route="shop"%s}'
QUERY = 'db_query_duration_seconds_%s{%s,alias="default",role="web"%s}'
CACHE = 'cache_gets_total{%s,alias="default",role="web",result="%s"}'
EVER = "1x600"
# A thousand answers in five minutes, and 200 scrapes before anything goes wrong.
GOOD = {UP: EVER, HTTP % (A, "GET", "200"): "0+17x600"}
SLOW = "round(100 * job:http_requests_slow:ratio_rate5m)"
FAILED = "round(job:http_request_errors:rate5m * 300)"
SHARE = "round(100 * job:http_request_errors:ratio_rate5m)"


def said(expr, at, *samples):
    """Expect an expression to have these values, by their labels, at that time."""
    return {
        "expr": expr,
        "eval_time": at,
        "exp_samples": [{"labels": text, "value": value} for text, value in samples],
    }


def app(value, more=""):
    return f'{{job="app"{more}}}', value


def timed(name, *, slow, good, more=A):
    """Return a histogram that begins with slow events beside one that goes on."""
    return {
        name % ("bucket", more, ',le="1.0"'): f"_x200 {good}x400",
        name % ("bucket", more, ',le="2.0"'): f"_x200 {good}x400",
        name % ("bucket", more, ',le="+Inf"'): f"_x200 {good + slow}x400",
        name % ("count", more, ""): f"_x200 {good + slow}x400",
    }


class Scenario(NamedTuple):
    """Cases for the rules of some groups."""

    group: str
    cases: tuple


SCENARIOS = {
    "twenty answers of a status that nobody gave before": Scenario(
        "watchroom.http",
        (
            case(
                "502 in a second",
                {**GOOD, HTTP % (A, "GET", "502"): "_x200 20x400"},
                said(FAILED, "995s", app(0)),
                said(FAILED, "1005s", app(20)),
                said(SHARE, "1005s", app(2)),
                said(FAILED, "1295s", app(20)),
                said(FAILED, "1400s", app(0)),
                interval="5s",
            ),
        ),
    ),
    "requests that were lost with their process": Scenario(
        "watchroom.http",
        (
            case(
                "lost",
                {**GOOD, HTTP % (A, "POST", "lost"): "_x200 8x400"},
                said(FAILED, "1005s", app(8)),
                interval="5s",
            ),
        ),
    ),
    "a method that a route never had, failing from its first answer": Scenario(
        "watchroom.http",
        (
            case(
                "newborn in both",
                {
                    UP: EVER,
                    HTTP % (A, "POST", "200"): "_x200 60x400",
                    HTTP % (A, "POST", "500"): "_x200 40x400",
                },
                said(SHARE, "1005s", app(40)),
                said(SHARE, "1290s", app(40)),
                interval="5s",
            ),
        ),
    ),
    "an exporter that was away serves its old totals": Scenario(
        "watchroom.http",
        tuple(
            case(
                f"{name}",
                {**series, **GOOD} | more,
                *(
                    said(f"({FAILED}) > bool 0", at, app(0))
                    for at in ("1005s", "1030s", "1200s", "1330s", "1600s")
                ),
                *(firing("HighErrorRate", at, 0) for at in ("1310s", "1600s")),
                interval="5s",
            )
            for name, series, more in (
                (
                    "its targets were refused for 30 s",
                    {HTTP % (A, "GET", "500"): "900x200 stale _x5 900x400"},
                    {UP: "1x200 0x5 1x400"},
                ),
                (
                    "the same totals under another address",
                    {
                        HTTP % (A, "GET", "500"): "900x200 stale",
                        f"up{{{B}}}": "_x203 1x400",
                        HTTP % (B, "GET", "200"): "_x203 5000+17x400",
                        HTTP % (B, "GET", "500"): "_x203 900x400",
                    },
                    {UP: "1x200 stale"},
                ),
                (
                    "one more instance, with totals of its own",
                    {
                        HTTP % (A, "GET", "500"): "900x600",
                        f"up{{{B}}}": "_x203 1x400",
                        HTTP % (B, "GET", "200"): "_x203 0+17x400",
                        HTTP % (B, "GET", "500"): "_x203 900x400",
                    },
                    {},
                ),
            )
        ),
    ),
    "routes that are slow from their first answer": Scenario(
        "watchroom.http",
        (
            case(
                "every bucket is new",
                {UP: EVER, **timed(TIMED, slow=30, good=70)},
                said(SLOW, "1010s", app(30)),
                said("round(job:http_requests_slow:rate5m * 300)", "1290s", app(30)),
                said(
                    "job:http_request_duration_seconds:p50_rate5m > bool 0",
                    "1010s", app(1),
                ),
                interval="5s",
            ),
        ),
    ),
    "a database that nobody asked before": Scenario(
        "watchroom.database",
        (
            case(
                "every bucket is new",
                {UP: EVER, **timed(QUERY, slow=30, good=70)},
                said(
                    "round(100 * job_alias:db_queries_slow:ratio_rate5m)", "1010s",
                    app(30, ',alias="default"'),
                ),
                interval="5s",
            ),
        ),
    ),
    "a cache that begins with its misses": Scenario(
        "watchroom.cache",
        (
            case(
                "misses are new",
                {
                    UP: EVER,
                    CACHE % (A, "hit"): "_x200 20x400",
                    CACHE % (A, "miss"): "_x200 80x400",
                },
                said(
                    "round(100 * job_alias:cache_hits:ratio_rate15m)", "1800s",
                    app(20, ',alias="default"'),
                ),
                interval="5s",
            ),
        ),
    ),
    "the first failure of a task": Scenario(
        "watchroom.celery",
        (
            case(
                "born at one",
                {UP: EVER, TASK: "_x200 1x400"},
                firing("CeleryTaskFailed", "1005s", 1, name="mail"),
                firing("CeleryTaskFailed", "1595s", 1, name="mail"),
                firing("CeleryTaskFailed", "1700s", 0),
                interval="5s",
            ),
        ),
    ),
    "the first page that nobody accepted": Scenario(
        "watchroom.watch",
        (
            case(
                "born at one",
                {
                    'up{job="alertmanager",instance="m"}': EVER,
                    SENT % 'integration="webhook",receiver_name="ops"': "_x200 1x400",
                },
                firing("NotificationFailing", "1005s", 1, receiver_name="ops"),
                interval="5s",
            ),
        ),
    ),
}  # fmt: skip


@pytest.fixture(params=SCENARIOS)
def scenario(request):
    return SCENARIOS[request.param]


def test_our_engine_counts_it_whole(scenario):
    replay.check(planned(), {scenario.group}, scenario.cases)


@pytest.mark.judge
@promtool.needed
def test_prometheus_counts_it_whole(scenario, tmp_path):
    promtool.check(tmp_path, planned(), {scenario.group}, list(scenario.cases))


@pytest.mark.judge
@promtool.needed
def test_it_holds_in_a_prometheus_that_others_use_too(tmp_path):
    """The other team's target was read all the time; ours is new, with old totals."""
    made = planned(select='namespace="shop"', labels={"team": "shop"})
    ours = A + ',namespace="shop"'
    series = {
        f'up{{{A},namespace="other"}}': EVER,
        f"up{{{ours}}}": "_x200 1x400",
        HTTP % (ours, "GET", "200"): "_x200 5000+17x400",
        HTTP % (ours, "GET", "500"): "_x200 900x400",
        HTTP % (ours, "GET", "502"): "_x300 7x400",
    }
    team = app(0, ',team="shop"')
    cases = [
        case(
            "theirs says nothing of ours",
            series,
            said(FAILED, "1100s", team),
            said(FAILED, "1300s", team),
            said(FAILED, "1510s", (team[0], 7)),
            interval="5s",
        )
    ]
    replay.check(made, {"watchroom.http"}, cases)
    promtool.check(tmp_path, made, {"watchroom.http"}, cases)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (
            "sum(rate(x_total[5m]))",
            (
                "sum((x_total unless x_total offset 5m and on (job, instance)"
                " up offset 5m == 1) / 300 or rate(x_total[5m]))"
            ),
        ),
        (
            "increase(x_count{a=\"}\",b=~'c'} [ 1h30m ]) > 0",
            (
                "(x_count{a=\"}\",b=~'c'} unless x_count{a=\"}\",b=~'c'} offset 1h30m"
                " and on (job, instance) up offset 1h30m == 1"
                " or increase(x_count{a=\"}\",b=~'c'}[1h30m])) > 0"
            ),
        ),
        # Of records and gauges there is no first event, and what looks back elsewhere,
        # or is no call, is left as its author wrote it.
        *(
            (text, text)
            for text in (
                "rate(job:x:rate5m[5m])",
                "rate(x_total[5m] offset 1h)",
                "increase(x_total[1h:5m])",
                'x_total{a="rate(x_total[5m])"}',
                "irate(x_total[5m])",
                'rate({__name__="x_total"}[5m])',
                'rate(x_total[5m]) / rate({__name__="x_total"}[5m])',
            )
        ),
    ],
)
def test_a_call_is_written_in_one_place(given, wanted):
    assert births.whole(given, "here") == wanted


def test_no_rule_and_no_query_of_a_runbook_loses_a_first_event():
    """What is left of rate and increase stands behind its `or`."""
    call = re.compile(
        r"(.{0,3})\b(?:rate|increase)\((\w+_(?:total|bucket|count|sum))\b"
    )
    texts = built(planned())
    for path, text in texts.items():
        if path.startswith(("rules/", "runbooks/")):
            flat = re.sub(r"\s+", " ", text)
            for before, name in call.findall(flat):
                assert before.endswith("or "), (path, name)
    assert call.search(re.sub(r"\s+", " ", texts["rules/watchroom.yml"]))
