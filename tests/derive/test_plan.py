"""The catalogue filled in: every template, selector and drill, or no build."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace

import pytest
from tests.support.plans import OPS, built, fresh, planned

from watchroom.catalogue import load
from watchroom.catalogue.load import Override
from watchroom.catalogue.metrics import Metric
from watchroom.catalogue.model import Alert, Drill, Panel, Record, Runbook, Top, Vital
from watchroom.catalogue.standard import VITALS
from watchroom.derive import selectors
from watchroom.errors import ConfigError
from watchroom.formats import grafana, rulefile

ORDERS = Metric("orders_total", "counter", "Orders.", ("kind",))
BOOK = Runbook(meaning="m", impact="i", diagnosis="d", mitigation="m")
ALERT = Alert(
    name="OrdersStopped",
    expr="sum by (job) (rate(orders_total[$window])) < $limit",
    for_="5m",
    severity="critical",
    priority="P1",
    summary="Orders stopped",
    description="None in $window_words.",
    runbook=BOOK,
    drill=Drill(
        fault=('orders_total{kind="web"} 0+0x$steps',),
        recovery=('orders_total{kind="web"} 1000000+1x$steps',),
    ),
)
OWN = Vital(
    title="Orders",
    metrics=("orders_total",),
    alerts=(ALERT,),
    limit=0.1,
    panel=Panel(
        expr="sum(rate(orders_total[$window]))",
        presence="count(orders_total)",
        bad="below",
    ),
)


def with_alert(**changes):
    return replace(OWN, alerts=(replace(ALERT, **changes),))


def refused(*own, **inputs):
    with pytest.raises(ConfigError) as caught:
        planned(*own, metrics=(ORDERS,), **inputs)
    return str(caught.value)


def alert_of(made, name):
    return next(a for v in made.vitals for a in v.alerts if a.name == name)


def vital_of(made, name):
    return next(v for v in made.vitals if v.name == name)


def test_a_projects_own_vital_is_built_as_the_standard_ones_are():
    files = built(planned(OWN, metrics=(ORDERS,)))
    rules = rulefile.load(files["rules/watchroom.yml"], "r")
    group = next(g for g in rules.groups if g.name == "watchroom.project")
    assert group.rules[0].expr == (
        "sum by (job) ((orders_total unless orders_total offset 5m"
        " and on (job, instance) up offset 5m == 1) / 300"
        " or rate(orders_total[5m])) < 0.1"
    )
    assert group.rules[0].annotations["description"] == "None in 5 minutes."
    assert files["runbooks/OrdersStopped.md"].startswith("# OrdersStopped\n")
    board = grafana.load(files["grafana/watchroom-overview.json"], "g")
    panel = next(p for p in board.panels if p.title == "Orders")
    steps = panel.fieldConfig.defaults.thresholds.steps
    assert [s.color for s in steps] == ["red", "green"]
    assert panel.links[0].url.endswith("/runbooks/OrdersStopped")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expr": "rate(order_total[5m]) > 1"}, "did you mean 'orders_total'?"),
        ({"expr": "job:http_requests:rate7m > 1"}, "job:http_requests:rate5m"),
        ({"expr": 'orders_total{kin="web"} > 1'}, "did you mean 'kind'?"),
        ({"expr": 'orders_total{route="x"} > 1'}, "has no label 'route'"),
        ({"expr": "sum(orders_total"}, "alert OrdersStopped"),
        ({"expr": "orders_total > $limits"}, "no parameter $limits"),
        ({"drill": Drill()}, "has no drill"),
        ({"drill": Drill(fault=("orders_total 0+0x9",))}, "has no recovery"),
        (
            {"drill": Drill(fault=("orders_total",), recovery=("orders_total 1",))},
            "the drill can't be parsed",
        ),
        ({"summary": '{{ query "up" | first | value }}'}, "use Top("),
        ({"top": Top("topk(3, nothing)", "x")}, "there is no metric named 'nothing'"),
        ({"name": "HighLatency"}, "two vitals HighLatency"),
    ],
)
def test_what_could_never_work_fails_the_build_by_name(changes, said):
    assert said in refused(with_alert(**changes))


def test_an_unknown_metric_in_a_panel_or_a_runbook_query_fails_the_build():
    panel = replace(OWN.panel, presence="count(orders)")
    assert "panel" in refused(replace(OWN, panel=panel))
    book = replace(BOOK, diagnosis="Look:\n\n```promql\nordres_total\n```\n")
    assert "did you mean 'orders_total'?" in refused(with_alert(runbook=book))


def test_an_alert_of_two_vitals_is_refused():
    twin = replace(OWN, alerts=(replace(ALERT, name="Another"), ALERT))
    assert "both have an alert OrdersStopped" in refused(OWN, twin)


def test_equal_records_of_two_vitals_become_one_and_others_are_refused():
    shared = Record(
        "job:orders:rate$window", "sum by (job) (rate(orders_total[$window]))"
    )
    one = replace(OWN, records=(shared,))
    two = replace(
        one, title="Two", alerts=(replace(ALERT, name="Two"),), records=(shared,)
    )
    text = built(planned(one, two, metrics=(ORDERS,)))["rules/watchroom.yml"]
    assert text.count("record: job:orders:rate5m") == 1
    other = replace(two, records=(replace(shared, expr="sum by (job) (orders_total)"),))
    assert "from different expressions" in refused(one, other)


def test_a_window_too_short_for_the_interval_is_refused():
    assert "too short for two samples" in refused(interval="15s", window="20s")


def test_an_override_reaches_rule_tile_runbook_and_drill():
    made = planned(
        overrides={
            "HighLatency": Override(
                limit=3.0, window="10m", for_="7m", severity="critical"
            )
        }
    )
    vital, alert = vital_of(made, "HighLatency"), alert_of(made, "HighLatency")
    exprs = dict(vital.records)
    slow = exprs["job:http_requests_slow:rate10m"]
    assert r'le=~"3(\\.0)?"' in slow
    assert "* 600 >= 5" in alert.expr
    assert (alert.alert.for_, alert.labels["severity"]) == ("7m", "critical")
    assert alert.labels["priority"] == "P1"
    assert vital.panel.limit == 3.0
    assert "p95_rate10m" in vital.panel.expr
    assert "longer than 3 seconds for 7 minutes" in alert.runbook.meaning
    assert 'le="3.0"' in alert.drill.fault[0]


def test_a_window_reaches_the_rules_of_each_vital_that_takes_one():
    taken = {}
    for vital in VITALS:
        override = {vital.name: Override(window="77m")}
        with contextlib.suppress(ConfigError):
            load.catalogue((), override)
            taken |= override
    assert {"HighErrorRate", "HighLatency", "CeleryTaskFailed"} <= taken.keys()
    made = planned(overrides=taken)
    for name in taken:
        vital = vital_of(made, name)
        exprs = [*dict(vital.records).values(), *(a.expr for a in vital.alerts)]
        # Of records that two vitals share, the first one has them.
        assert any("[77m]" in expr or "rate77m" in expr for expr in exprs), name


HTTP = [vital.name for vital in VITALS if vital.group == "http"]


@pytest.mark.parametrize("name", HTTP)
def test_a_window_is_changed_alone_though_vitals_share_records(name):
    made = planned(overrides={name: Override(window="77m")})
    assert "rate77m" in str(vital_of(made, name).alerts[0].expr)


def test_the_window_and_for_of_a_demo_reach_everything_but_the_watchdog():
    made = planned(window="30s", for_="5s")
    text = built(made)["rules/watchroom.yml"]
    assert not re.search(r"\[(5m|15m)\]", text)
    holds = {a.name: a.alert.for_ for v in made.vitals for a in v.alerts}
    # What fires at once goes on doing so.
    for name in ("Watchdog", "CeleryTaskFailed", "NotificationFailing"):
        assert holds.pop(name) == "0s"
    assert set(holds.values()) == {"5s"}


def test_the_same_catalogue_builds_the_same_bytes():
    assert built(fresh()) == built(fresh())


def test_no_sites_makes_a_tile_that_does_not_apply():
    files = built(planned(has=("database",)))
    board = grafana.load(files["grafana/watchroom-overview.json"], "g")
    values = {p.title: p.fieldConfig.defaults.noValue for p in board.panels}
    assert values["Public site up"] == "not applicable"
    assert values["Cache hit rate"] == "not applicable"
    assert values["Failed requests"] == "idle"
    assert "job_name: site" not in files["prometheus.yml"]


def test_tiles_stand_apart_and_are_told_apart():
    board = grafana.load(
        built(planned(OWN, metrics=(ORDERS,)))["grafana/watchroom-overview.json"], "g"
    )
    cells = [
        (p.gridPos.x + dx, p.gridPos.y + dy)
        for p in board.panels
        for dx in range(p.gridPos.w)
        for dy in range(p.gridPos.h)
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({p.id for p in board.panels}) == len(board.panels)
    for panel in board.panels:
        if panel.type == "row":
            continue
        has_more = panel.fieldConfig.overrides  # what to show without a limit
        assert [t.refId for t in panel.targets] == ["A", "B", *(["C"] * len(has_more))]
        assert panel.description


def test_every_alert_has_a_page_whose_commands_and_queries_are_filled_in():
    files = built(planned())
    for vital in planned().vitals:
        for alert in vital.alerts:
            page = files[f"runbooks/{alert.name}.md"]
            for part in ("Meaning", "Impact", "Diagnosis", "Mitigation"):
                found = re.search(rf"## {part}\n\n(.+?)\n\n## ", page, re.DOTALL)
                assert len(found[1]) > 40, (alert.name, part)
            assert "```" in page
            assert not re.search(r"\$(window|limit|for|exporter|monitor)", page)


def test_no_secret_is_named_in_clear():
    files = built(planned(receivers=(OPS._replace(url="", secret="ops_hook"),)))
    assert "url_file: secrets/ops_hook" in files["alertmanager.yml"]


def test_select_narrows_every_selector_and_marks_every_result():
    made = planned(select='namespace="shop"')
    exprs = [e for v in made.vitals for _, e in v.records]
    exprs += [a.expr for v in made.vitals for a in v.alerts]
    exprs += [e for v in made.vitals if v.panel for e in v.panel[1:3]]
    seen = 0
    for expr in exprs:
        for selector in selectors.names(expr, "x"):
            assert ("namespace", "=", "shop") in selector.matchers, expr
            seen += 1
    assert seen > 50
    rules = rulefile.load(built(made)["rules/watchroom.yml"], "r")
    assert all(
        rule.labels["namespace"] == "shop" for g in rules.groups for rule in g.rules
    )
    (slow,) = [rule for rule in rules.groups[0].rules if rule.alert == "HighLatency"]
    text = slow.annotations["description"]
    assert 'namespace="shop"' in text


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"select": 'team=~"a|b"'}, "needs --label"),
        ({"select": 'job="app"'}, "can't match job"),
        ({"select": "team=shop"}, "--select"),
        ({"labels": {"severity": "x"}}, "can't set severity"),
    ],
)
def test_a_selection_that_could_mix_teams_is_refused(inputs, said):
    assert said in refused(**inputs)


HARD = {
    "up": 'up{t="x"}',
    "sum by (job) (rate(a[5m]))": 'sum by (job) (rate(a{t="x"}[5m]))',
    "sum(a) by (job)": 'sum(a{t="x"}) by (job)',
    'a{b="{}"} / on (job) group_left (c) d': (
        'a{b="{}",t="x"} / on (job) group_left (c) d{t="x"}'
    ),
    'absent(up{job="app"})': 'absent(up{job="app",t="x"})',
    "topk(3, a{} offset 5m > 0)": 'topk(3, a{t="x"} offset 5m > 0)',
    "a and on () b unless c or vector(1)": (
        'a{t="x"} and on () b{t="x"} unless c{t="x"} or vector(1)'
    ),
    "max_over_time(rate(a[5m])[1h:1m])": 'max_over_time(rate(a{t="x"}[5m])[1h:1m])',
    'a{b="x",}': 'a{b="x",t="x"}',
    "-a * 1e3 > bool 0x1F": '-a{t="x"} * 1e3 > bool 0x1F',
    'label_replace(a, "x", "$1", "y", "(.*)")': (
        'label_replace(a{t="x"}, "x", "$1", "y", "(.*)")'
    ),
    "count_values by (job) ('v', a)": "count_values by (job) ('v', a{t=\"x\"})",
    "a # up\n + b": 'a{t="x"} # up\n + b{t="x"}',
}


@pytest.mark.parametrize("expr", HARD)
def test_matchers_go_into_selectors_and_nowhere_else(expr):
    assert selectors.narrow(expr, lambda _: 't="x"', "x") == HARD[expr]


def test_a_selector_without_a_name_is_refused_rather_than_left_wide():
    with pytest.raises(ConfigError, match="can't add matchers"):
        selectors.narrow('{__name__=~"a.*"}', lambda _: 't="x"', "x")


def test_what_a_project_does_not_have_cannot_be_missing():
    def names(**has):
        return {a.name for v in planned(**has).vitals for a in v.alerts}

    assert {"SiteUnobserved", "CacheUnobserved"} <= names()
    without = names(has=("database",))
    assert "QueriesUnobserved" in without
    assert not {"SiteUnobserved", "CacheUnobserved"} & without
    assert "SiteDown" in without
