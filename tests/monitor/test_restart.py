"""What was known before a kill is known after it; what is refused is kept out."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import pytest
from tests.support.waiting import until
from tests.support.watched import Monitor


def state_of(monitor):
    alerts = monitor.get("/api/v1/alerts").json["data"]["alerts"]
    return {alert["labels"]["alertname"]: alert for alert in alerts}


def test_a_kill_keeps_samples_and_the_time_an_alert_has_been_pending(
    target, files, monitor, pages
):
    files.rules = files.rules.replace("for: 1s", "for: 6s")
    target.paths["/metrics"] = "m 9\n"
    files.job(target.address).write()
    monitor.start().ready()
    before = until(lambda: state_of(monitor).get("TooHigh"), what="pending")
    assert before["state"] == "pending"
    until(lambda: monitor.value("count_over_time(m[1m])") >= 5)
    # A kill costs the samples of a second at most.
    older = f"count_over_time(m[1m] @ {time.time() - 1.2:.3f})"
    samples = monitor.value(older)
    monitor.kill()
    monitor.start().ready()
    after = until(lambda: state_of(monitor).get("TooHigh"), what="pending again")
    assert after["activeAt"] == before["activeAt"]
    assert monitor.value(older) == samples > 0
    until(pages.messages, 12, "paged")
    assert pages.messages()[0]["status"] == "firing"
    assert not pages.messages()[1:]


@contextlib.contextmanager
def slices(process):
    """Have a process stand still most of the time, as on a host that swaps."""
    over = threading.Event()

    def alternate():
        while not over.is_set():
            process.send_signal(signal.SIGSTOP)
            over.wait(2.2)  # four evaluations
            process.send_signal(signal.SIGCONT)
            over.wait(0.5)

    thread = threading.Thread(target=alternate)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.slow
@pytest.mark.serial
def test_a_monitor_that_stands_still_most_of_the_time_pages(
    target, files, monitor, pages
):
    files.job(target.address).write()
    monitor.start().ready()
    until(lambda: monitor.value("m") == 1)
    with slices(monitor.process):
        time.sleep(5)
        target.paths["/metrics"] = "m 9\n"
        until(pages.messages, 30, "the page")


def test_a_signal_stops_it_cleanly(target, files, monitor):
    files.job(target.address).write()
    monitor.start().ready()
    until(lambda: monitor.value("m") == 1)
    assert monitor.stop() == 0
    assert "Traceback" not in monitor.log.read_text()


def test_a_second_monitor_on_the_same_state_is_refused(
    target, files, monitor, tmp_path
):
    files.job(target.address).write()
    monitor.start().ready()
    second = Monitor(files, tmp_path).start()
    assert second.process.wait(20) == 2
    assert f"another monitor (process {monitor.process.pid})" in second.log.read_text()


def test_a_taken_port_and_a_directory_that_is_not_one_are_said(
    files, monitor, tmp_path
):
    files.job("127.0.0.1:1").write()
    monitor.start().ready()
    other = Monitor(files, tmp_path / "other")
    (tmp_path / "other").mkdir()
    other.port = monitor.port
    assert other.start().process.wait(20) == 2
    assert f"cannot listen on 127.0.0.1:{monitor.port}" in other.log.read_text()
    files.path = tmp_path / "missing"
    assert other.start().process.wait(20) == 2
    assert "watchroom build DIR" in other.log.read_text()


def test_reload_takes_new_jobs_and_leaves_the_others_alone(target, files, monitor):
    files.job(target.address).write()
    monitor.start().ready()
    until(lambda: monitor.value("m") == 1)
    target.paths["/other"] = "n 2\n"
    files.job(target.address, metrics_path="/other").write()
    answer = monitor.post("/-/reload")
    assert (answer.status, answer.body) == (200, "reloaded\n")
    until(lambda: monitor.value("n") == 2)
    files.jobs.pop()
    files.write()
    os.kill(monitor.process.pid, signal.SIGHUP)
    until(lambda: monitor.value("n") is None, what="the job is gone")
    assert monitor.value("scrape_series_added") is not None


def test_a_bad_file_keeps_the_old_configuration_and_is_named_everywhere(
    target, files, monitor
):
    target.paths["/metrics"] = "m 9\n"
    files.job(target.address).write()
    monitor.start().ready()
    until(lambda: state_of(monitor).get("TooHigh", {}).get("state") == "firing")
    (files.path / "rules" / "r.yml").write_text(
        "groups:\n  - name: g\n    rules:\n      - {record: a, expr: 'sum('}\n"
    )
    answer = monitor.post("/-/reload")
    assert answer.status == 400
    assert "rules/r.yml:4" in answer.body
    assert "watchroom_config_last_reload_successful 0" in monitor.get("/metrics").body
    until(lambda: "rules/r.yml:4" in monitor.get("/board").body)
    assert "rules/r.yml:4" in monitor.log.read_text()
    assert state_of(monitor)["TooHigh"]["state"] == "firing"
    files.write()
    assert monitor.post("/-/reload").status == 200
    assert "watchroom_config_last_reload_successful 1" in monitor.get("/metrics").body
    assert state_of(monitor)["TooHigh"]["state"] == "firing"
