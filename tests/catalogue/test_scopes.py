"""What of its series a vital judges: ignored values, and limits of their own."""

import json
import re

import pytest
from tests.support import promtool
from tests.support.plans import built, planned
from tests.support.promtool import firing

from watchroom import conf
from watchroom.catalogue import load, metrics, scopes
from watchroom.catalogue.load import Override
from watchroom.errors import ConfigError
from watchroom.promql.model import Matcher

REPORTS = {"route": {"reports/*": 10.0}}
LATENCY = "http_request_duration_seconds"


def vital(made, name):
    return next(one for one in made.vitals if one.name == name)


@pytest.mark.parametrize(
    ("pattern", "inside", "outside"),
    [
        ("reports/*", ["reports/", "reports/<int:year>/"], ["reports", "my/reports/"]),
        ("a.b+c(d)", ["a.b+c(d)"], ["aXb+c(d)", "a.bbc(d)"]),
        ("*", ["", "anything"], []),
        (r"^x/(?P<n>\d+)", [r"^x/(?P<n>\d+)"], ["x/7"]),
    ],
)
def test_a_pattern_is_itself_but_for_its_stars(pattern, inside, outside):
    matcher = Matcher("route", "=~", scopes.regex(pattern))
    assert [matcher.matches(value) for value in inside] == [True] * len(inside)
    assert [matcher.matches(value) for value in outside] == [False] * len(outside)


def test_what_is_ignored_is_in_no_rule_tile_chart_or_query_of_the_vital():
    ignore = {"route": ("reports/*", "health")}
    made = planned(overrides={"HighErrorRate": Override(ignore=ignore)})
    found = vital(made, "HighErrorRate")
    part = r'route!~"reports/.*|health"'
    exprs = [expr for _, expr in found.records]
    exprs += [expr for chart in found.charts for expr, _ in chart.queries]
    read = [expr for expr in exprs if "http_requests_total" in expr]
    assert len(read) > 2
    assert [part in expr for expr in read] == [True] * len(read)
    # Blind is a vital whose series are all missing, ignored ones too.
    assert part not in found.panel.presence
    assert part in found.alerts[0].description
    assert (
        "Not counted: route `reports/*`, `health`."
        in (built(made)["runbooks/HighErrorRate.md"])
    )
    assert part not in str(vital(made, "HighLatency").records)


def test_a_limit_of_their_own_makes_a_vital_of_its_own():
    made = planned(overrides={"HighLatency": Override(limits=REPORTS, for_="3m")})
    main, own = vital(made, "HighLatency"), vital(made, "HighLatencyReports")
    assert made.vitals[-1] is own
    assert (main.panel.limit, own.panel.limit) == (2.0, 10.0)
    assert own.vital.title == "Response time, p95: reports/*"
    assert all(name.startswith("reports:") for name, _ in own.records)
    assert not {name for name, _ in own.records} & {name for name, _ in main.records}
    assert own.alerts[0].alert.for_ == main.alerts[0].alert.for_ == "3m"
    assert r'route=~"reports/.*"' in str(own.records)
    assert r'route!~"reports/.*"' in str(main.records)
    # A route that nobody asked for is calm: any series with the edge will do.
    assert "route" not in own.panel.presence.partition("} or")[0]
    files = built(made)
    assert "10 seconds" in files["runbooks/HighLatencyReports.md"]
    drills = {
        one["alert"]: one for one in json.loads(files["watchroom.json"])["drills"]
    }
    assert 'route="reports/drill"' in drills["HighLatencyReports"]["fault"][0]
    assert 'route="drill"' in drills["HighLatency"]["fault"][0]


def alert(made, name):
    return next(a for v in made.vitals for a in v.alerts if a.name == name)


def test_one_ignored_file_system_is_in_no_rule_and_makes_no_vital_blind():
    made = planned(
        overrides={"DiskSpaceLow": Override(ignore={"mountpoint": ("/snap/*",)})}
    )
    part = 'mountpoint!~"/snap/.*"'
    ((_, record),) = vital(made, "DiskSpaceLow").records
    assert record.count(part) == 3
    assert part in alert(made, "DiskNotAnswering").expr
    assert part not in alert(made, "DiskUnobserved").expr


def test_only_a_bucket_of_its_own_can_make_a_limit_of_its_own_blind():
    limits = {"route": {"reports/*": 10.0}}
    made = planned(
        overrides={
            "HighLatency": Override(limits=limits),
            "HighErrorRate": Override(limits={"route": {"reports/*": 0.2}}),
        }
    )
    names = {a.name for v in made.vitals for a in v.alerts if "Unobserved" in a.name}
    assert "LatencyUnobservedReports" in names
    assert {"LatencyUnobserved", "RequestsUnobserved"} < names
    assert "RequestsUnobservedReports" not in names
    expr = alert(made, "LatencyUnobservedReports").expr
    assert r'le=~"10(\\.0)?"' in expr
    assert "route" not in expr


@pytest.mark.parametrize(
    ("name", "label", "pattern", "shown"),
    [
        ("HighLatency", "route", "2024/*", 'route="2024/drill"'),
        ("HighLatency", "method", "P*", 'method="POST"'),
        ("DatabaseQuerySlow", "role", "worker", 'role="worker"'),
        ("DiskSpaceLow", "mountpoint", "/srv", 'mountpoint="/srv"'),
        ("CeleryBacklogHigh", "queue", "d*", 'queue_name="drill"'),
    ],
)
def test_a_drill_shows_a_value_that_is_judged(name, label, pattern, shown):
    limit = 0.5 if name == "DiskSpaceLow" else 9.0
    made = planned(overrides={name: Override(limits={label: {pattern: limit}})})
    own, main = made.vitals[-1], vital(made, name)
    for found in (own, main):
        records = [record for record, _ in found.records]
        assert all(re.fullmatch("[a-zA-Z_:][a-zA-Z0-9_:]*", each) for each in records)
    assert shown in own.alerts[0].drill.fault[0]
    assert shown not in main.alerts[0].drill.fault[0]


def test_the_first_pattern_that_matches_decides():
    limits = {"route": {"reports/year/*": 20.0, "reports/*": 10.0}}
    made = planned(overrides={"HighLatency": Override(limits=limits)})
    wide = str(vital(made, "HighLatencyReports").records)
    assert r'route=~"reports/.*",route!~"reports/year/.*"' in wide
    turned = {"route": {"reports/*": 10.0, "reports/year/*": 20.0}}
    with pytest.raises(ConfigError, match="would judge nothing"):
        planned(overrides={"HighLatency": Override(limits=turned)})


def test_every_limit_is_a_bucket_edge_and_a_new_one_says_what_it_needs():
    settings = conf.load(
        {
            "VITALS": {
                "HighLatency": {
                    "limit": "3s",
                    "limits": {"route": {"reports/*": "45s", "api/*": "500ms"}},
                }
            }
        },
        {},
    )
    edges = metrics.edges(metrics.HTTP_DURATION, settings.limits)
    assert {2.0, 3.0, 45.0, 0.5} <= set(edges)
    overrides = {name: Override(*each) for name, each in settings.vitals.items()}
    made = {one.name: one for one in load.catalogue((), overrides)}
    said = {
        name: "Until you restart them" in made[name].alerts[0].runbook.meaning
        for name in ("HighLatency", "HighLatencyReports", "HighLatencyApi")
    }
    # Half a second is an edge anyway.
    assert list(said.values()) == [True, True, False]


@pytest.mark.parametrize(
    ("name", "word", "label"),
    [
        ("DatabaseQuerySlow", "alias", "alias"),
        ("CacheHitRateLow", "alias", "alias"),
        ("CeleryTaskFailed", "task", "name"),
        ("CeleryBacklogHigh", "queue", "queue_name"),
        ("ScheduledTaskOverdue", "entry", "entry"),
        ("HealthCheckFailing", "check", "check"),
        ("DatabaseDown", "alias", "alias"),
    ],
)
def test_people_say_route_task_queue_and_alias(name, word, label):
    made = planned(overrides={name: Override(ignore={word: ("x*",)})})
    texts = [alert.expr for alert in vital(made, name).alerts]
    texts += [expr for _, expr in vital(made, name).records]
    assert f'{label}!~"x.*"' in str(texts)


@pytest.mark.parametrize(
    ("name", "override", "said"),
    [
        ("HighLatency", Override(ignore={"queue": ("x",)}), "there is method, route"),
        ("CeleryTaskFailed", Override(ignore={"x": ("x",)}), "there is task"),
        ("HighErrorRate", Override(ignore={"route": ("*",)}), "its own drill"),
        ("AppDown", Override(limits={"role": {"web": 2.0}}), "no parameter limit"),
        ("HighErrorRate", Override(limits={"route": {"a": 5.0}}), "'1%' or 0.01"),
        (
            "HighLatency",
            Override(limits={"route": {"a/": 3.0, "a": 4.0}}),
            "two vitals HighLatencyA",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(name, override, said):
    with pytest.raises(ConfigError) as caught:
        planned(overrides={name: override})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"ignore": {"route": "a*"}}, "ignore.route", "is not a list"),
        ({"ignore": {"route": [""]}}, "ignore.route", "empty pattern"),
        ({"ignore": {"route": ['a"b']}}, "ignore.route", "quotes"),
        ({"ignore": {"route": ["{{ x }}"]}}, "ignore.route", "{{"),
        ({"ignore": ["a"]}, "ignore", "isn't a dict"),
        ({"limits": {"route": {"a": "fast"}}}, "limits.route['a']", "is not a limit"),
        ({"limits": {"route": ["a"]}}, "limits.route", "isn't a dict"),
    ],
)
def test_a_wrong_setting_is_named(given, field, said):
    with pytest.raises(ConfigError) as caught:
        conf.load({"VITALS": {"HighLatency": given}}, {})
    assert caught.value.field == f"WATCHROOM.VITALS.HighLatency.{field}"
    assert said in str(caught.value)


def series(route, fast, slow, edge):
    """Return the lines of one route: so many answers a step under and over an edge."""
    base = f'job="app",instance="h",method="GET",route="{route}"'
    return {
        f'{LATENCY}_bucket{{{base},le="{edge}"}}': f"0+{fast}x80",
        f'{LATENCY}_bucket{{{base},le="+Inf"}}': f"0+{fast + slow}x80",
        f"{LATENCY}_count{{{base}}}": f"0+{fast + slow}x80",
    }


def failing(route):
    base = f'job="app",instance="h",method="GET",route="{route}"'
    return {f'http_requests_total{{{base},status="500"}}': "0+5x80"}


def case(name, lines, **alerts):
    expected = [firing(alert, "20m", count) for alert, count in alerts.items()]
    return promtool.case(name, lines, *expected)


@pytest.mark.judge
@promtool.needed
def test_promtool_agrees_on_who_fires(tmp_path):
    made = planned(
        interval="15s",
        overrides={
            "HighErrorRate": Override(ignore={"route": ("reports/*",)}),
            "HighLatency": Override(limits={"route": {"reports/*": 10.0}}),
            "CeleryBacklogHigh": Override(limits={"queue": {"mail": 50.0}}),
        },
    )
    year = "reports/<int:year>/"
    queue = 'celery_queue_length{job="app",instance="h",queue_name="%s"}'
    cases = [
        case("an ignored route fails", failing("reports/1/"), HighErrorRate=0),
        case("another fails", failing("shop/"), HighErrorRate=1),
        case(
            "a route with a limit of its own is over both",
            series(year, 1, 9, "2") | series(year, 1, 9, "10"),
            HighLatency=0,
            HighLatencyReports=1,
        ),
        case(
            "it is over the others' limit only",
            series(year, 0, 10, "2") | series(year, 10, 0, "10"),
            HighLatency=0,
            HighLatencyReports=0,
        ),
        case(
            "another route is over the general limit",
            series("shop/", 0, 10, "2") | series("shop/", 10, 0, "10"),
            HighLatency=1,
            HighLatencyReports=0,
        ),
        case(
            "queues have limits of their own",
            {queue % "mail": "60+0x80", queue % "celery": "60+0x80"},
            CeleryBacklogHigh=0,
            CeleryBacklogHighMail=1,
        ),
    ]
    promtool.check(tmp_path, made, {"watchroom.http", "watchroom.celery"}, cases)
