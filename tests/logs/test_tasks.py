"""Tasks: in the request's trace, one line each, through a worker and a broker."""

import re

import pytest
from celery import signals
from tests.support.lines import lines

from watchroom import apps
from watchroom.logs.console import Console

SCRIPT = """
import logging
from celery import Celery
from celery.contrib.testing.worker import start_worker
from watchroom.context.trace import CURRENT, of_request

app = Celery("t", broker="memory://", set_as_current=True)
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True
noted = []

@app.task(name="t.fine")
def fine():
    logging.getLogger("tests.app").info("inside")
    with connection.cursor() as cursor:
        cursor.execute("select 1")
    cache.get("nothing")
    noted.append("fine")

@app.task(name="t.fails")
def fails(password):
    noted.append("fails")
    raise ValueError("no card 4111 1111 1111 1111 with password=" + password)

@app.task(name="t.again", bind=True, max_retries=1)
def again(self):
    noted.append("again")
    if len([one for one in noted if one == "again"]) == 1:
        raise self.retry(countdown=0)

@app.task(name="t.outer")
def outer():
    noted.append("outer")
    fine.delay()

call("/work/")  # the views are imported with the first request
CURRENT.set(of_request({"HTTP_X_REQUEST_ID": "pub-1"}))
fine.delay()
fails.delay("planted-in-arguments")
again.delay()
fine.apply()
CURRENT.set(None)
outer.delay()
import time
with start_worker(app, perform_ping_check=False, pool="solo", logfile=None):
    limit = time.monotonic() + 60
    while len(noted) < 7 and time.monotonic() < limit:
        time.sleep(0.02)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    return lines(tmp_path_factory.mktemp("runtime"), SCRIPT)


def tasks(told, name):
    return [one for one in told if one.get("task_name") == name]


def test_a_task_is_one_line_with_the_id_of_its_request(told):
    queued = next(one for one in tasks(told, "t.fine") if one.get("queue"))

    assert queued["name"] == "watchroom.task"
    assert queued["task_state"] == "SUCCESS"
    assert queued["request_id"] == "pub-1"
    assert queued["queue"] == "celery"
    assert queued["duration_ms"] > 0
    inside = [one for one in told if one["message"] == "inside"]
    assert {one["request_id"] for one in inside[:2]} == {"pub-1"}
    assert len({one["task_id"] for one in inside}) == 3


def test_a_failure_is_logged_once_with_its_traceback_and_without_its_secrets(told):
    (failed,) = tasks(told, "t.fails")

    assert failed["levelname"] == "ERROR"
    assert failed["task_state"] == "FAILURE"
    assert failed["error_type"] == "ValueError"
    assert failed["error_message"] == "no card [redacted] with password=[redacted]"
    assert not [one for one in told if one["name"] == "celery.app.trace"]


def test_a_retry_keeps_the_id(told):
    first, second = tasks(told, "t.again")

    assert (first["task_state"], second["task_state"]) == ("RETRY", "SUCCESS")
    assert second["task_retries"] == 1
    assert first["request_id"] == second["request_id"] == "pub-1"
    assert first["trace_id"] == second["trace_id"]


def test_a_task_that_no_request_sent_passes_its_own_id_on(told):
    (outer,) = tasks(told, "t.outer")
    inner = [o for o in tasks(told, "t.fine") if o["request_id"] == outer["request_id"]]

    assert outer["request_id"] == outer["task_id"]
    assert len(inner) == 1
    assert inner[0]["trace_id"] == outer["trace_id"]
    assert re.fullmatch("[0-9a-f]{32}", outer["trace_id"])


def test_celery_leaves_the_logs_alone_when_all_else_is_off(monkeypatch):
    monkeypatch.setenv("WATCHROOM_ENABLED", "0")
    monkeypatch.setattr(signals.setup_logging, "receivers", [])  # no other test's
    console = Console()
    try:
        apps.WatchroomConfig("watchroom", apps).ready()
    finally:
        console.close()

    assert signals.setup_logging.receivers
