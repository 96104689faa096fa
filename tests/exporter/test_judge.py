"""Real Prometheus finds a drill, scrapes it, and forgets it."""

import json
import os
import shutil
import urllib.parse
import urllib.request

import pytest
from tests.support import waiting
from tests.support.children import Children
from tests.support.ports import free_port

CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 400ms}}
scrape_configs:
- job_name: app
  static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]
- job_name: drill
  http_sd_configs:
  - url: http://127.0.0.1:{exporter}/drill/targets
    refresh_interval: 500ms
"""


@pytest.fixture
def prometheus(exporter, tmp_path):
    """Start a real Prometheus on the exporter; return a function that asks it."""
    binary = shutil.which("prometheus")
    if binary is None:
        pytest.skip("needs Debian's prometheus")
    config = tmp_path / "prometheus.yml"
    config.write_text(CONFIG.format(exporter=exporter.address[1]))
    port = free_port()
    root = f"http://127.0.0.1:{port}"

    def ask(query):
        url = f"{root}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            found = json.load(answer)["data"]["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def ready():
        try:
            return ask("up") is not None
        except OSError:
            return False

    command = [
        *(binary, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}"),
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
    ]
    with Children(tmp_path / "logs") as children:
        child = children.start("prometheus", command, env=os.environ, cwd=tmp_path)
        children.wait_until(ready, "Prometheus answers", alive=child)
        yield ask


def until(ask, query, wanted, seconds=30.0):
    return waiting.until(lambda: ask(query), seconds, query, good=wanted)


@pytest.mark.judge
def test_prometheus_scrapes_a_drill_under_its_own_job_and_forgets_it(
    exporter, prometheus
):
    until(prometheus, 'up{job="app"} == 1', len)
    assert prometheus('up{job!="app"}') == []
    series = 'http_requests_total{route="drill",status="500"}'
    for nonce, step in (("one", 5), ("two", 7)):
        exporter.drills.start(
            {
                "nonce": nonce,
                "alert": "HighErrorRate",
                "fault": [f"{series} 0+{step}x240"],
                "recovery": [f"{series} 1000+1x240"],
            }
        )
    exporter.clock.now += 50
    found = until(prometheus, series, lambda found: len(found) == 2)
    assert {metric["job"]: value for metric, value in found} == {
        "drill-one": 50.0,
        "drill-two": 70.0,
    }
    assert {metric["instance"] for metric, _ in found} == {
        f"127.0.0.1:{exporter.address[1]}"
    }
    assert sum(value for _, value in prometheus('up{job=~"drill-.+"}')) == 2
    exporter.drills.recover({"nonce": "one"})
    until(prometheus, f"{series} == 1050", len)
    exporter.drills.stop({"nonce": "one"})
    until(
        prometheus,
        'up{job=~"drill-.+"}',
        lambda found: [metric["job"] for metric, _ in found] == ["drill-two"],
    )
