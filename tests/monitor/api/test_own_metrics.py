"""The monitor's own metrics and its Alertmanager side, while an alert fires."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from tests.support.waiting import until

from watchroom.formats.exposition import parse


@pytest.fixture
def firing(target, files, monitor, pages):
    target.paths["/metrics"] = "m 9\n"
    files.job(target.address).write()
    monitor.start().ready()
    until(pages.messages, 15, "paged")
    return monitor


def test_its_metrics_count_what_it_does(firing):
    body = firing.get("/metrics").body
    values = {(s.name, dict(s.labels).get("outcome")): s.value for s in parse(body)}
    assert values["watchroom_targets", None] == 1
    assert values["watchroom_scrapes_total", None] >= 2
    assert values["watchroom_rules_evaluations_total", None] >= 2
    assert values["watchroom_store_series", None] >= 6
    assert values["watchroom_notifications_total", "sent"] >= 1
    assert values["watchroom_config_last_reload_successful", None] == 1
    names = [line.split()[2] for line in body.splitlines() if line.startswith("# TYPE")]
    assert len(names) == len(set(names))


@pytest.mark.judge
def test_promtool_finds_nothing_to_say_about_them(firing):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs Debian's prometheus")
    body = firing.get("/metrics").body
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=body,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_answers_as_an_alertmanager(firing):
    (alert,) = firing.get("/api/v2/alerts").json
    assert alert["labels"]["alertname"] == "TooHigh"
    assert alert["labels"]["environment"] == "test"
    assert alert["receivers"] == [{"name": "ops"}]
    quiet = {"inhibitedBy": [], "silencedBy": [], "mutedBy": []}
    assert alert["status"] == {**quiet, "state": "active"}
    assert len(alert["fingerprint"]) == 16
    assert firing.get("/api/v2/receivers").json == [{"name": "ops"}]
    assert firing.get("/api/v2/silences").json == []
    (group,) = firing.get("/api/v2/alerts/groups").json
    assert group["labels"] == {"alertname": "TooHigh"}
    chosen = '/api/v2/alerts?filter=alertname%3D"Other"'
    assert firing.get(chosen).json == []
    status = firing.get("/api/v2/status").json
    assert '"receiver": "ops"' in status["config"]["original"]


@pytest.mark.judge
def test_amtool_reads_it(firing):
    amtool = shutil.which("amtool")
    if amtool is None:
        pytest.skip("needs Debian's prometheus-alertmanager")
    url = f"--alertmanager.url={firing.url}"
    shown = subprocess.run(
        [amtool, url, "alert", "query", "-o", "extended"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 0, shown.stderr
    assert 'alertname="TooHigh"' in shown.stdout
