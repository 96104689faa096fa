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
from tests.support.servers import eventually

from watchroom.monitor.oncall.records import Records
from watchroom.monitor.state import StateDB

ROOT = Path(__file__).parents[2]
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
KILLS = 12


@pytest.mark.slow
@pytest.mark.serial
def test_twelve_kills_lose_no_page_and_no_pending_time(tmp_path):
    chance = random.Random(7)
    # A new alert every second or so, so that kills fall before, in and after each step.
    timetable = {str(n): (0.5 + n * 1.3, 0.5 + n * 1.3 + 20) for n in range(10)}
    answers = [chance.choice([200, 200, 500, 503, 429]) for _ in range(40)]
    with listening(answers=answers) as listener:
        given = {
            "directory": str(tmp_path),
            "alertmanager": ALERTMANAGER % listener.url(),
            "rules": RULES,
            "timetable": timetable,
            "epoch": time.time() + 1,
        }
        child = _start(given)
        try:
            for _ in range(KILLS):
                time.sleep(chance.uniform(1.2, 2.2))
                os.kill(child.pid, signal.SIGKILL)
                assert child.wait() == -signal.SIGKILL
                child = _start(given)
            # answers are used up by now, or soon are
            eventually(lambda: _resolved(listener, timetable), within=60)
        finally:
            child.kill()
            child.wait()
        heard = _heard(listener)
    _each_group_has_one_incident(tmp_path, heard)
    paged = [k for k, said in heard.items() if said[0]["status"] == "firing"]
    assert len(paged) > len(timetable), "most pages go out before their alert is over"
    for name, (start, end) in timetable.items():
        began = (given["epoch"] + start) * 1000
        for alertname, wait in (("AtOnce", 0), ("Later", 3000)):
            said = heard[alertname, name]
            # The page as such may be overtaken by its own end, if nobody accepted it.
            assert said[-1]["status"] == "resolved", (alertname, name, said)
            starts = {_ms(alert["startsAt"]) for alert in said}
            assert len(starts) == 1, (alertname, name, starts)
            late = starts.pop() - began - wait
            # One step of 0.1 s, or the time that a new process takes to look.
            assert -50 < late < 2500, (alertname, name, late)
            assert _ms(said[-1]["endsAt"]) >= (given["epoch"] + end) * 1000 - 50


def _each_group_has_one_incident(directory, heard):
    """Every page leads to the incident of its alert, which no kill lost or doubled."""
    with StateDB(directory) as state:
        found = {one.id: one for one in Records(state).incidents(100)}
    assert len(found) == len(heard)
    for said in heard.values():
        for alert in said:
            number = int(alert["annotations"]["incident_url"].rpartition("/")[2])
            assert alert["fingerprint"] in found[number].alerts


def _start(given):
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.alerting_process", json.dumps(given)],
        cwd=ROOT,
    )


def _heard(listener):
    found = defaultdict(list)
    for message in listener.messages():
        for alert in message["alerts"]:
            labels = alert["labels"]
            found[labels["alertname"], labels["n"]].append(alert)
    return found


def _resolved(listener, timetable):
    ended = {
        key
        for key, said in _heard(listener).items()
        if said[-1]["status"] == "resolved"
    }
    quiet = not listener.heard or time.time() - listener.heard[-1].at > 1.5
    return len(ended) == 2 * len(timetable) and quiet


def _ms(text):
    return datetime.fromisoformat(text).timestamp() * 1000
