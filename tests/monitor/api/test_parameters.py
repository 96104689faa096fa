"""Every parameter that Prometheus and Alertmanager know is honoured, or refused."""

from __future__ import annotations

import json
import time
import urllib.parse

import pytest
import yaml
from aiohttp import web
from tests.support.waiting import until
from tests.support.watched import Files, Monitor, Target, request

from watchroom.monitor.api.alertmanager import AlertmanagerAPI
from watchroom.monitor.api.parameters import REFUSED
from watchroom.monitor.api.prometheus import QueryAPI, unescape_name
from watchroom.monitor.api.silences import SilencesAPI
from watchroom.monitor.api.status import StatusAPI

BODY = """# TYPE m gauge
m{a="1"} 9
m{a="2"} 3
"""
ROUTES = {
    "route": {
        "receiver": "db",
        "group_by": ["alertname"],
        "group_wait": "0s",
        "routes": [
            {"matchers": ['team="web"'], "receiver": "web", "continue": True},
            {"matchers": ['team="web"'], "receiver": "db"},
        ],
    },
    "receivers": [{"name": "web"}, {"name": "db"}],
    "inhibit_rules": [
        {"source_matchers": ['alertname="A"'], "target_matchers": ['alertname="C"']}
    ],
}
FUTURE = "2100-01-01T00:00:00Z"
_SELECTED = ("match[]", "start", "end", "limit")
_ASKED = ("query", "timeout", "limit", "lookback_delta", "stats")
_STATES = ("active", "silenced", "inhibited", "receiver", "filter")
# What the originals know, without what is refused here.
HONOURED = {
    "/api/v1/query": (*_ASKED, "time"),
    "/api/v1/query_range": (*_ASKED, "start", "end", "step"),
    "/api/v1/series": _SELECTED,
    "/api/v1/labels": _SELECTED,
    "/api/v1/label/{name}/values": _SELECTED,
    "/api/v1/rules": (
        *("type", "rule_name[]", "rule_group[]", "file[]", "match[]"),
        "exclude_alerts",
    ),
    "/api/v1/alerts": (),
    "/api/v1/targets": ("state", "scrapePool"),
    "/api/v1/alertmanagers": (),
    # There is nothing to answer, whatever is asked for.
    "/api/v1/metadata": ("metric", "limit", "limit_per_metric"),
    "/api/v1/status/buildinfo": (),
    "/api/v1/status/config": (),
    "/api/v1/status/runtimeinfo": (),
    "/api/v1/status/flags": (),
    # No alert here waits unprocessed, and no group is muted by a time interval.
    "/api/v2/alerts": (*_STATES, "unprocessed"),
    "/api/v2/alerts/groups": (*_STATES, "muted"),
    "/api/v2/receivers": (),
    "/api/v2/status": (),
    "/api/v2/silences": ("filter",),
    "/api/v2/silence/{id}": (),
}


def count(answer):
    """Return how many series, names, rules, targets or alerts an answer has."""
    data = answer.json
    if isinstance(data, list):
        return len(data)
    data = data["data"]
    if isinstance(data, list):
        return len(data)
    if "groups" in data:
        return sum(len(group["rules"]) for group in data["groups"])
    if "activeTargets" in data:
        return len(data["activeTargets"])
    return len(data["result"])


def points(answer):
    return len(answer.json["data"]["result"][0]["values"])


def cut(answer):
    warnings = answer.json.get("warnings", [])
    return count(answer), "results truncated due to limit" in warnings


def soon():
    return str(time.time() + 400)


# Per endpoint: what it is asked without the parameter; then per parameter its value,
# what is looked at, and what is seen without and with it.
QUERY = {
    "query": ("m{a='1'}", count, 2, 1),
    "time": ("1000", count, 2, 0),
    "timeout": ("-1", lambda answer: answer.status, 200, 503),
    "limit": ("1", cut, (2, False), (1, True)),
    "stats": ("all", lambda answer: "stats" in answer.json["data"], False, True),
}
SELECTED = {
    "start": (soon, count, 2, 0),
    "end": ("2", count, 2, 0),
    "limit": ("1", cut, (2, False), (1, True)),
}
STATES = {
    "active": ("0", count, 4, 2),
    "silenced": ("false", count, 4, 3),
    "inhibited": ("no", count, 4, 3),
    "filter": ('alertname="A"', count, 4, 1),
}
CASES = {
    "/api/v1/query": ({"query": "m"}, QUERY),
    "/api/v1/query_range": (
        {"query": "m", "start": "1", "end": "41", "step": "20"},
        {
            **{name: case for name, case in QUERY.items() if name != "time"},
            "query": ("1", points, None, 3),
            "limit": ("1", count, 0, 0),
            "start": ("21", points, 3, 2),
            "end": ("21", points, 3, 2),
            "step": ("40", points, 3, 2),
        },
    ),
    "/api/v1/series": (
        {"match[]": "m", "end": FUTURE, "start": "1"},
        {"match[]": ("m{a='1'}", count, 2, 1), **SELECTED},
    ),
    "/api/v1/labels": (
        {"match[]": "up", "end": FUTURE, "start": "1"},
        {
            "match[]": ("m", count, 3, 4),
            "start": (soon, count, 3, 0),
            "end": ("2", count, 3, 0),
            "limit": ("1", cut, (3, False), (1, True)),
        },
    ),
    "/api/v1/label/{name}/values": (
        {"match[]": "m", "end": FUTURE, "start": "1"},
        {"match[]": ("m{a='1'}", count, 2, 1), **SELECTED},
    ),
    "/api/v1/rules": (
        {},
        {
            "type": ("record", count, 2, 1),
            "rule_name[]": ("TooHigh", count, 2, 1),
            "rule_group[]": ("other", count, 2, 0),
            "file[]": ("other.yml", count, 2, 0),
            "match[]": ('{severity="critical"}', count, 2, 1),
            "exclude_alerts": (
                "true",
                lambda answer: len(
                    answer.json["data"]["groups"][0]["rules"][1]["alerts"]
                ),
                1,
                0,
            ),
        },
    ),
    "/api/v1/targets": (
        {},
        {
            "state": ("dropped", count, 2, 0),
            "scrapePool": ("job1", count, 2, 1),
        },
    ),
    "/api/v1/metadata": (
        {},
        # Nothing is kept, so what is seen is that nonsense is refused.
        {
            "metric": ("m", lambda answer: answer.status, 200, 200),
            "limit": ("x", lambda answer: answer.status, 200, 400),
            "limit_per_metric": ("-1", lambda answer: answer.status, 200, 400),
        },
    ),
    "/api/v2/alerts": (
        {},
        {
            **STATES,
            "receiver": ("w.b", count, 4, 1),
            # No alert here waits unprocessed.
            "unprocessed": ("false", count, 4, 4),
        },
    ),
    "/api/v2/alerts/groups": (
        {},
        {
            **{
                name: (value, count, without + 1, with_ + 1)
                for name, (value, _, without, with_) in STATES.items()
            },
            "active": ("0", count, 5, 2),
            "receiver": ("web", count, 5, 1),
            # No group here is muted by a time interval.
            "muted": ("false", count, 5, 5),
        },
    ),
    "/api/v2/silences": ({}, {"filter": ('alertname="X"', count, 1, 0)}),
}


def posted(monitor, path, data):
    answer = request(
        monitor.url + path,
        data=json.dumps(data).encode(),
        Content_Type="application/json",
        **monitor.bearer,
    )
    assert answer.status == 200, answer.body
    return answer


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The URL of a monitor with two jobs, two rules and four alerts in their states."""
    tmp_path = tmp_path_factory.mktemp("parameters")
    target = Target()
    target.paths["/metrics"] = BODY
    files = Files(tmp_path / "monitoring", "http://127.0.0.1:1/nobody")
    files.job(target.address)
    target.paths["/other"] = "n 1\n"
    files.job(target.address, metrics_path="/other")
    files.write()
    (files.path / "alertmanager.yml").write_text(yaml.safe_dump(ROUTES))
    monitor = Monitor(files, tmp_path)
    try:
        monitor.start().ready()
        silence = {
            "matchers": [{"name": "alertname", "value": "B", "isRegex": False}],
            "startsAt": "2020-01-01T00:00:00Z",
            "endsAt": FUTURE,
            "createdBy": "t",
            "comment": "c",
        }
        posted(monitor, "/api/v2/silences", silence)
        alerts = [
            {"labels": {"alertname": name, "team": team}, "endsAt": FUTURE}
            for name, team in (("A", "web"), ("B", "x"), ("C", "y"))
        ]
        posted(monitor, "/api/v2/alerts", alerts)
        # Three here, and the rule's own.
        until(lambda: count(request(f"{monitor.url}/api/v2/alerts")) == 4, 20)
        until(lambda: count(request(f"{monitor.url}/api/v2/alerts/groups")) == 5, 20)
        yield monitor.url
    finally:
        monitor.stop()
        target.close()


def ask(url, path, parameters):
    query = urllib.parse.urlencode(parameters)
    return request(f"{url}{path.replace('{name}', 'a')}?{query}")


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path in HONOURED for name in HONOURED[path]],
)
def test_a_parameter_that_is_honoured_changes_the_answer(url, path, name):
    given, cases = CASES[path]
    if name == "lookback_delta":  # as far from the samples as they are looked back to
        asked = dict.fromkeys(("start", "end", "time"), soon())
        asked |= {"query": "m", "step": "60"}
        assert count(ask(url, path, asked)) == 0
        assert count(ask(url, path, asked | {name: "1h"})) == 2
        assert ask(url, path, asked | {name: "-1h"}).status == 400
        return
    value, seen, without, with_ = cases[name]
    value = value() if callable(value) else value

    if without is not None:
        plain = given | ({"query": "1"} if seen is points else {})
        assert seen(ask(url, path, plain)) == without
    else:
        plain = given
    assert seen(ask(url, path, plain | {name: value})) == with_


@pytest.mark.parametrize(
    ("path", "name"),
    [(path, name) for path in REFUSED for name in REFUSED[path]],
)
def test_a_parameter_that_is_not_honoured_is_refused_by_name(url, path, name):
    answer = ask(url, path, {"query": "1", "start": 0, "end": 1, "step": 1, name: "1"})

    assert answer.status == 400
    assert answer.json["errorType"] == "bad_data"
    assert f'"{name}"' in answer.json["error"]


def test_every_route_of_the_originals_declares_its_parameters():
    app = web.Application()
    for part in (QueryAPI, StatusAPI, AlertmanagerAPI, SilencesAPI):
        part(None).routes(app)  # only wired, never asked
    routes = {resource.canonical for resource in app.router.resources()}

    assert routes == set(HONOURED)
    assert routes > set(REFUSED)


def test_a_parameter_that_nobody_knows_is_ignored(url):
    assert ask(url, "/api/v1/query", {"query": "1", "nonsense": "x"}).status == 200


def test_the_form_comes_before_the_address(url):
    answer = request(f"{url}/api/v1/query?query=1", data=b"query=2")

    assert answer.json["data"]["result"][1] == "2"


@pytest.mark.parametrize(
    "moment",
    ["2026-11-30", "2026-11-30 15:00:00", " 1", "1_0", "1e400", "2026-11-30T25:00:00Z"],
)
def test_what_is_no_time_is_refused(url, moment):
    answer = ask(url, "/api/v1/query", {"query": "1", "time": moment})

    assert (answer.status, answer.json["errorType"]) == (400, "bad_data")
    assert '"time"' in answer.json["error"]


@pytest.mark.parametrize("limit", ["-1", "x", "1.5", "\u00b2", "1_0"])
def test_what_is_no_limit_is_refused(url, limit):
    for path in ("/api/v1/query", "/api/v1/series", "/api/v1/labels"):
        answer = ask(url, path, {"query": "m", "match[]": "m", "limit": limit})
        assert (answer.status, answer.json["errorType"]) == (400, "bad_data"), path


def test_warnings_and_infos_come_with_the_answer(url):
    answer = ask(url, "/api/v1/query", {"query": "quantile(2, rate(m[1m]))"}).json

    assert answer["warnings"] == [
        "PromQL warning: quantile value should be between 0 and 1, got 2"
    ]
    (info,) = answer["infos"]
    assert info.startswith("PromQL info: metric might not be a counter, name does not")
    plain = ask(url, "/api/v1/query", {"query": "m"}).json
    assert not {"warnings", "infos"} & set(plain)


def test_the_step_of_a_subquery_is_the_evaluation_interval(url):
    query = "count_over_time(vector(1)[30s:])"
    answer = ask(url, "/api/v1/query", {"query": query}).json

    # 500 ms in these files; a minute would give one or none.
    assert answer["data"]["result"][0]["value"][1] == "60"


def test_a_reload_changes_the_step_of_subqueries(tmp_path):
    files = Files(tmp_path / "monitoring", "http://127.0.0.1:1/nobody").write()
    monitor = Monitor(files, tmp_path)
    query = {"query": "count_over_time(vector(1)[30s:])"}

    def steps():
        answer = ask(monitor.url, "/api/v1/query", query).json
        return answer["data"]["result"][0]["value"][1]

    try:
        monitor.start().ready()
        assert steps() == "60"
        files.interval = "2s"
        files.write()
        path = f"{monitor.url}/-/reload"
        assert request(path, method="POST", **monitor.bearer).status == 200
        assert steps() == "15"
    finally:
        monitor.stop()


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        ("a", "a"),
        ("U__a_2e_b", "a.b"),
        ("U___", "U___"),
        ("U____", "_"),
        ("U__a__b", "a_b"),
        ("U__a_1F525_b", "a\U0001f525b"),
        ("U__a_xx_b", "U__a_xx_b"),
        ("U__a_d800_b", "U__a_d800_b"),
        ("U__a_2e", "U__a_2e"),
        ("U__", ""),
    ],
)
def test_names_are_unescaped_as_prometheus_does(escaped, name):
    assert unescape_name(escaped) == name


def test_a_label_of_any_name_has_values(url):
    assert ask(url, "/api/v1/label/a.b/values", {}).json["data"] == []
    assert ask(url, "/api/v1/label/U__a/values", {"match[]": "m"}).json["data"] == [
        *("1", "2")
    ]


def test_the_memory_of_an_answer_is_given_back_when_it_has_been_sent(url):
    for _ in range(3):
        wide = {"query": "m", "start": 1, "end": 40_000, "step": 4}
        assert ask(url, "/api/v1/query_range", wide).status == 200
    refused = ask(url, "/api/v1/query", {"query": "count(vector(1)[300d:1ms])"})
    assert refused.status == 400
    refused = ask(url, "/api/v1/query", {"query": "vector(1)[300d:1ms]"})
    assert (refused.status, refused.json["errorType"]) == (422, "execution")
    assert "256 MiB of memory" in refused.json["error"]

    def metric(name):
        text = request(f"{url}/metrics").body
        return float(text.partition(f'{name}{{engine="queries"}} ')[2].split("\n")[0])

    assert metric("watchroom_query_memory_refused_total") == 1
    until(lambda: metric("watchroom_query_memory_bytes") == 0, 5)
