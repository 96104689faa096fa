"""kill -9 in the middle of everything: no page is lost, no `for` starts over."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path

import pytest
from tests.support.listener import listening
from tests.support.waiting import until

from watchroom.monitor.oncall.records import Records
from watchroom.monitor.state.database import StateDB

ROOT = Path(__file__).parents[3]
RULES = """
groups:
  - name: g
    rules:
      - {alert: AtOnce, expr: x > 0}
      - {alert: Later, expr: x > 0, for: 3s}
"""
ALERTMANAGER = """
route: {receiver: ops, group_by: ['...'], group_wait: 0s, group_interval: 300ms,
        repeat_interval: 1h}
receivers: [{name: ops, webhook_configs: [{url: "%s"}]}]
"""
KILLS = 50


@pytest.mark.slow
@pytest.mark.serial
def test_fifty_kills_lose_no_page_and_no_pending_time(tmp_path):
    chance = random.Random(7)
    names = [str(n) for n in range(KILLS // 5)]
    answers = [chance.choice([200, 200, 500, 503, 429]) for _ in range(40)]
    began = {}
    _switch(tmp_path, began)
    with listening(answers=answers) as listener:
        given = {
            "directory": str(tmp_path),
            "alertmanager": ALERTMANAGER % listener.url(),
            "rules": RULES,
            "names": names,
        }
        child = _start(given)
        try:
            for kill in range(KILLS):
                if kill % 5 == 0:  # so that kills fall before, in and after each step
                    began[names[kill // 5]] = time.time()
                    _switch(tmp_path, began)
                time.sleep(chance.uniform(0.0, 0.5))
                os.kill(child.pid, signal.SIGKILL)
                assert child.wait() == -signal.SIGKILL
                child.stdout.close()
                child = _start(given)
            survived = time.time()
            until(lambda: _all(listener, "firing", names), seconds=60)
            ended = time.time()
            _switch(tmp_path, {})
            until(lambda: _all(listener, "resolved", names), seconds=60)
        finally:
            child.kill()
            child.wait()
            child.stdout.close()
        heard = _heard(listener)
    _each_group_has_one_incident(tmp_path, heard)
    for name in names:
        for alertname, wait in (("AtOnce", 0.0), ("Later", 3.0)):
            alerts = heard[alertname, name]
            # No process began anew what another had begun.
            (start,) = {_seconds(alert["startsAt"]) for alert in alerts}
            assert start > began[name] + wait - 0.05, (alertname, name)
            if int(name) < len(names) // 2:
                # With a `for` that started over at each kill it would fire only now.
                assert start < survived, (alertname, name)
            assert _seconds(alerts[-1]["endsAt"]) > ended - 0.05, (alertname, name)


def _switch(directory, names):
    """Let the samples of `names` be 1, and the others 0."""
    fresh = directory / "on.new"
    fresh.write_text(" ".join(names))
    fresh.replace(directory / "on")


def _each_group_has_one_incident(directory, heard):
    """Every page leads to the incident of its alert, which no kill lost or doubled."""
    with StateDB(directory) as state:
        incidents = {
            incident.id: incident for incident in Records(state).incidents(100)
        }
    assert len(incidents) == len(heard)
    for alerts in heard.values():
        for alert in alerts:
            number = int(alert["annotations"]["incident_url"].rpartition("/")[2])
            assert alert["fingerprint"] in incidents[number].alerts


def _start(given):
    """Return a process that has begun to evaluate."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.alerting_process", json.dumps(given)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert child.stdout.readline() == b"up\n"
    return child


def _heard(listener):
    alerts = defaultdict(list)
    for message in listener.messages():
        for alert in message["alerts"]:
            labels = alert["labels"]
            alerts[labels["alertname"], labels["n"]].append(alert)
    return alerts


def _all(listener, status, names):
    """Return whether the last word on every alert is `status`, and is the last."""
    heard = _heard(listener)
    last = [said[-1]["status"] for said in heard.values()]
    quiet = not listener.heard or time.time() - listener.heard[-1].at > 1.5
    return quiet and last == [status] * 2 * len(names)


def _seconds(text):
    return datetime.fromisoformat(text).timestamp()
