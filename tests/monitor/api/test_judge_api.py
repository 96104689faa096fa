"""The API beside the real Prometheus: same target, same rules, same answers."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.parse

import pytest
from tests.support.ports import free_port
from tests.support.waiting import until
from tests.support.watched import Files, Monitor, Target, request

pytestmark = pytest.mark.judge

BODY = """# TYPE m gauge
m{a="1"} 9
m{a="x\\"y\\\\z"} 0.1
m_total 1234567890
h_bucket{le="0.5"} 3
h_bucket{le="+Inf"} 4
nan_value NaN
small 0.00000012
large 1e+25
"""


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Our URL and Prometheus', both over the same files, both firing."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("needs Debian's prometheus")
    tmp_path = tmp_path_factory.mktemp("judge")
    target = Target()
    target.paths["/metrics"] = BODY
    monitor = Monitor(written(tmp_path, target), tmp_path)
    port = free_port()
    with (tmp_path / "prometheus.log").open("wb") as log:
        judge = subprocess.Popen(
            [
                binary,
                f"--config.file={monitor.files.path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=error",
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    theirs = f"http://127.0.0.1:{port}"
    try:
        monitor.start().ready()
        for url in (monitor.url, theirs):
            until(lambda url=url: firing(url), 20, f"{url} fires")
        yield monitor.url, theirs
    finally:
        monitor.stop()
        judge.terminate()
        judge.wait()
        target.close()


def written(tmp_path, target):
    """Return files with a plain job, one of its own labels, one wholly dropped."""
    files = Files(tmp_path / "monitoring", "http://127.0.0.1:1/nobody")
    files.job(target.address)
    files.job(
        "",
        static_configs=[{"targets": ["127.0.0.1:1"], "labels": {"zone": "z"}}],
        relabel_configs=[
            {"source_labels": ["zone"], "target_label": "area", "replacement": "x-$1"}
        ],
    )
    drop = {"source_labels": ["job"], "action": "drop"}
    return files.job(target.address, relabel_configs=[drop]).write()


def firing(url):
    alerts = request(f"{url}/api/v1/alerts").json["data"]["alerts"]
    return [a for a in alerts if a["state"] == "firing"]


def both(pair, path, data=None):
    return [request(url + path, data=data) for url in pair]


def shape(value):
    """Return the keys and types of JSON, a list by its first element."""
    if isinstance(value, dict):
        # Prometheus 2 leaves out what is empty, Prometheus 3 does not.
        return {
            name: shape(inner) for name, inner in sorted(value.items()) if inner != {}
        }
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, int | float) else "string"


def results(reply):
    """Return an instant answer without its times, as a comparable set."""
    data = reply.json["data"]
    if data["resultType"] in {"scalar", "string"}:
        return data["resultType"], data["result"][1]
    return data["resultType"], sorted(
        (sorted(row["metric"].items()), row["value"][1]) for row in data["result"]
    )


def test_instant_answers_are_equal(pair):
    for expr in (
        "m",
        "m_total",
        "small * 3",
        "large",
        "nan_value",
        "sum(m) without (a)",
        "m > 5",
        "m > bool 5",
        "absent(nothing)",
        "42.5",
        '"text"',
        "up",
        "m:double",
        'ALERTS{alertstate="firing"}',
        "count by (job) (up)",
        "1/0",
        'h_bucket{le="+Inf"}',
        "topk(1, m)",
    ):
        path = f"/api/v1/query?{urllib.parse.urlencode({'query': expr})}"
        ours, theirs = map(results, both(pair, path))
        assert ours == theirs, expr


def test_range_answers_have_the_same_form_by_get_and_post(pair):
    end = int(time.time())
    query = urllib.parse.urlencode(
        {"query": "vector(time()) * 2", "start": end - 60, "end": end, "step": "15s"}
    )
    ours, theirs = both(pair, f"/api/v1/query_range?{query}")
    assert ours.json == theirs.json
    ours, theirs = both(pair, "/api/v1/query_range", query.encode())
    assert ours.json == theirs.json


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/query?query=sum(",
        "/api/v1/query?query=rate(m)",
        "/api/v1/query?query=m&time=yesterday",
        "/api/v1/query",
        "/api/v1/query?query=m&timeout=x",
        "/api/v1/query?query=m*on(job)m",
        "/api/v1/query_range?query=m&start=5&end=1&step=1",
        "/api/v1/query_range?query=m&start=1&end=5&step=0",
        "/api/v1/query_range?query=m&start=1&end=50000&step=1",
        "/api/v1/query_range?query=m&end=5&step=1",
        "/api/v1/series",
        "/api/v1/series?match[]=sum(m)",
        "/api/v1/rules?type=nonsense",
    ],
)
def test_errors_have_the_same_status_and_type(pair, path):
    ours, theirs = both(pair, path)
    assert ours.status == theirs.status
    assert ours.json["status"] == theirs.json["status"] == "error"
    assert ours.json["errorType"] == theirs.json["errorType"]
    assert ours.json["error"]


def test_labels_and_series_are_equal(pair):
    for path in (
        "/api/v1/labels?match[]=m",
        "/api/v1/label/a/values",
        "/api/v1/label/job/values?match[]=up",
        "/api/v1/label/__name__/values?match[]={a!=''}",
    ):
        ours, theirs = both(pair, path)
        assert ours.json["data"] == theirs.json["data"], path
    ours, theirs = both(pair, "/api/v1/series?match[]=m&match[]=up")
    assert sorted(ours.json["data"], key=str) == sorted(theirs.json["data"], key=str)


def test_rules_alerts_and_targets_have_every_field_of_theirs(pair):
    for path in ("/api/v1/rules", "/api/v1/alerts"):
        ours, theirs = both(pair, path)
        assert shape(ours.json) == shape(theirs.json), path
    ours, theirs = (reply.json["data"] for reply in both(pair, "/api/v1/targets"))
    by_labels = [
        {str(one["labels"]): one for one in data["activeTargets"]}
        for data in (ours, theirs)
    ]
    assert by_labels[0].keys() == by_labels[1].keys()
    for labels, one in by_labels[1].items():
        mine = by_labels[0][labels]
        assert shape(one).items() <= shape(mine).items()
        for same in ("discoveredLabels", "health", "scrapePool", "scrapeUrl"):
            assert mine[same] == one[same], same
    assert [d["discoveredLabels"] for d in ours["droppedTargets"]] == [
        d["discoveredLabels"] for d in theirs["droppedTargets"]
    ]


def test_an_alert_is_described_in_the_same_words(pair):
    ours, theirs = (firing(url)[0] for url in pair)
    for name in ("labels", "annotations", "state", "value"):
        assert ours[name] == theirs[name], name


def test_status_pages_answer_alike(pair):
    for path in ("/api/v1/status/buildinfo", "/api/v1/status/config"):
        ours, theirs = both(pair, path)
        assert shape(ours.json) == shape(theirs.json), path
