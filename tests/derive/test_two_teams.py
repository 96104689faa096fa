"""A real Prometheus that two teams share: what is ours, and only what is ours."""

from __future__ import annotations

import http.server
import shutil
import threading
import urllib.parse

import pytest
from tests.support import promtool
from tests.support.plans import built, planned, put
from tests.support.ports import free_port
from tests.support.servers import get_json, running
from tests.support.waiting import until

from watchroom.derive.files import RULES
from watchroom.formats import yamlfile

pytestmark = [
    pytest.mark.judge,
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")),
        reason="needs Debian's prometheus",
    ),
]


class Team:
    """One team's exporter: the same metric names as everybody's."""

    def __init__(self, name):
        self.name = name
        self.sick = False
        self.scrapes = 0
        self.failed = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = outer.text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def text(self):
        self.scrapes += 1
        self.failed += 50 if self.sick else 0
        fine = self.scrapes * 100
        web, probe = (0, 0) if self.sick else (4, 1)
        slow = fine // 2 if self.sick else 0
        family = "http_request_duration_seconds"
        route = f'method="GET",route="{self.name}"'
        return (
            f'http_requests_total{{{route},status="200"}} {fine}\n'
            f'http_requests_total{{{route},status="500"}} {self.failed}\n'
            f'{family}_bucket{{{route},le="2.0"}} {fine - slow}\n'
            f'{family}_bucket{{{route},le="+Inf"}} {fine}\n'
            f"{family}_count{{{route}}} {fine}\n"
            f'watchroom_processes{{role="web"}} {web}\n'
            f"probe_success {probe}\n"
        )

    @property
    def address(self):
        return f"127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def teams():
    made = [Team("shop"), Team("other")]
    yield made
    for team in made:
        team.close()


def firing(port):
    query = urllib.parse.urlencode({"query": 'ALERTS{alertstate="firing"}'})
    answer = get_json(f"http://127.0.0.1:{port}/api/v1/query?{query}")
    found = [one["metric"] for one in answer["data"]["result"]]
    return [labels for labels in found if labels["alertname"] != "Watchdog"]


def ours_of(found):
    return [labels for labels in found if labels.get("namespace") == "shop"]


def scraped(port, times):
    """Return whether each target of the other team was tried often enough."""
    query = urllib.parse.urlencode(
        {"query": 'min(count_over_time(up{namespace="other"}[1m]))'}
    )
    answer = get_json(f"http://127.0.0.1:{port}/api/v1/query?{query}")
    return int(answer["data"]["result"][0]["value"][1]) >= times


def test_another_teams_outage_is_not_ours_and_ours_is(teams, tmp_path):
    ours, other = teams
    other.sick = True
    port = free_port()
    made = planned(select='namespace="shop"', interval="1s", window="4s", for_="1s")
    put(tmp_path, {RULES: built(made)[RULES]})
    # The other team runs the same tool, without having thought of us.
    theirs = planned(interval="1s", window="4s", for_="1s", labels={"team": "other"})
    text = built(theirs)[RULES].replace("name: watchroom.", "name: other.")
    put(tmp_path, {"rules/other.yml": text})
    nowhere = f"127.0.0.1:{free_port()}"
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules/*.yml"],
        "scrape_configs": [
            {
                "job_name": job,
                "static_configs": [
                    {"targets": [ours.address], "labels": {"namespace": "shop"}},
                    {
                        "targets": [other.address, nowhere],
                        "labels": {"namespace": "other"},
                    },
                ],
            }
            for job in ("app", "postgres")
        ],
    }
    put(tmp_path, {"prometheus.yml": yamlfile.dump(config)})
    with running(
        "prometheus",
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
        cwd=tmp_path,
    ):
        until(lambda: len(firing(port)) >= 4, 30)
        until(lambda: scraped(port, 10), 30)
        found = firing(port)
        assert {"HighErrorRate", "AppDown", "TargetDown"} <= {
            labels["alertname"] for labels in found
        }
        assert not ours_of(found)
        ours.sick = True
        wanted = {"HighErrorRate", "AppDown", "SiteDown", "HighLatency"}

        def our_alerts():
            rules = get_json(f"http://127.0.0.1:{port}/api/v1/alerts")
            return {
                one["labels"]["alertname"]: one
                for one in rules["data"]["alerts"]
                if one["labels"].get("namespace") == "shop" and one["state"] == "firing"
            }

        until(lambda: wanted <= set(our_alerts()), 30)
        said = our_alerts()["HighErrorRate"]["annotations"]["description"]
        assert "GET /shop (" in said
        assert "other" not in said


def test_absence_of_our_app_is_seen_beside_another_teams(tmp_path):
    put(tmp_path, {RULES: built(planned(select='namespace="shop"'))[RULES]})

    def case(namespace, count):
        return {
            "interval": "5s",
            "input_series": [
                {
                    "series": f'up{{job="app",namespace="{namespace}"}}',
                    "values": "1+0x60",
                }
            ],
            "promql_expr_test": [
                {
                    "expr": 'count(ALERTS{alertname="AppAbsent",alertstate="firing",'
                    'namespace="shop",job="app"}) or vector(0)',
                    "eval_time": "4m",
                    "exp_samples": [{"labels": "{}", "value": count}],
                }
            ],
        }

    test = {
        "rule_files": [RULES],
        "evaluation_interval": "5s",
        "tests": [case("other", 1), case("shop", 0)],
    }
    put(tmp_path, {"test.yml": yamlfile.dump(test)})
    promtool.run(tmp_path, "test.yml")
