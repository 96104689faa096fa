"""What a page says, expanded by our engine and by Prometheus' own tool."""

from __future__ import annotations

import shutil

import pytest
from tests.support import promtool
from tests.support.plans import built, planned, put

from watchroom.formats import rulefile, yamlfile
from watchroom.monitor.templates import Context, Sample, Template

LABELS = {"job": "app", "alias": "default", "instance": "h:9000", "vital": "x"}


def answer(query):
    """Answer the topk of the annotation as a store with three routes would."""
    assert 'job="app"' in query
    return [
        Sample({"method": "GET", "route": "invoices/<int:pk>/"}, 41.6),
        Sample({"method": "POST", "route": ""}, 3.0),
    ]


def annotations(name, **inputs):
    rules = rulefile.load(built(planned(**inputs))["rules/watchroom.yml"], "r")
    return next(
        rule.annotations for g in rules.groups for rule in g.rules if rule.alert == name
    )


def test_a_page_names_the_worst_routes():
    context = Context(LABELS, 0.034, {}, "http://x", answer)
    found = annotations("HighErrorRate")
    assert Template(found["summary"], "s").render(context) == (
        "3.4% of requests to app are failing"
    )
    assert Template(found["description"], "d").render(context) == (
        "More than 1% of requests in the last 5 minutes failed with 5xx or were "
        "lost with their process. Most failures: GET /invoices/<int:pk>/ (42), "
        "POST / (3)."
    )


def test_a_page_without_offenders_ends_with_its_sentence():
    context = Context(LABELS, 0.034, {}, "http://x", lambda _: [])
    text = Template(annotations("HighErrorRate")["description"], "d").render(context)
    assert text.endswith("with their process.")


def test_every_text_of_every_rule_is_a_template_that_expands():
    context = Context(LABELS, 0.5, {}, "http://x", lambda _: [])
    rules = rulefile.load(built(planned())["rules/watchroom.yml"], "r")
    for group in rules.groups:
        for rule in group.rules:
            for text in rule.annotations.values():
                assert "$" not in Template(text, rule.alert).render(context)


def test_a_page_links_to_its_runbook_and_its_tile():
    found = annotations("AppDown")
    assert found["runbook_url"] == "http://127.0.0.1:9700/runbooks/AppDown"
    assert found["dashboard_url"].startswith("http://127.0.0.1:9700/#vital-")
    assert found["__dashboardUid__"] == "watchroom-overview"
    assert found["dashboard_url"].endswith("-" + found["__panelId__"])


@pytest.mark.judge
@pytest.mark.skipif(not shutil.which("promtool"), reason="needs Debian's promtool")
@pytest.mark.parametrize("select", ["", 'team="shop"'])
def test_prometheus_writes_the_same_page(tmp_path, select):
    """A value with a quote and a percent sign stays a value in both."""
    team = ',team="shop"' if select else ""
    route = r"a\"b/%d"
    put(tmp_path, built(planned(window="1m", for_="10s", select=select)))
    lines = [
        f'http_requests_total{{job="app",method="GET",route="{route}",status="500"{team}}}',
        f'http_requests_total{{job="app",method="GET",route="fine",status="200"{team}}}',
    ]
    found = annotations("HighErrorRate", window="1m", for_="10s", select=select)
    context = Context(
        {"job": "app"},
        0.5,
        {},
        "",
        lambda _: [Sample({"method": "GET", "route": 'a"b/%d'}, 60.0)],
    )
    expected = {
        name: Template(text, name).render(context) for name, text in found.items()
    }
    labels = {
        "job": "app",
        "severity": "critical",
        "priority": "P1",
        "vital": "HighErrorRate",
        **({"team": "shop"} if select else {}),
    }
    test = {
        "rule_files": ["rules/watchroom.yml"],
        "evaluation_interval": "5s",
        "tests": [
            {
                "interval": "5s",
                "input_series": [
                    {"series": line, "values": "0+5x40"} for line in lines
                ],
                "alert_rule_test": [
                    {
                        "eval_time": "2m",
                        "alertname": "HighErrorRate",
                        "exp_alerts": [
                            {"exp_labels": labels, "exp_annotations": expected}
                        ],
                    }
                ],
            }
        ],
    }
    put(tmp_path, {"test.yml": yamlfile.dump(test)})
    promtool.run(tmp_path, "test.yml")
