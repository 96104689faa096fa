"""Targets that behave, and targets that do not, as a running monitor sees them."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.support.waiting import until

from watchroom.monitor.scrape.loop import in_pool


def garbage(handler):
    handler.reply("m 1\n<html>oops\n")


def wrong_type(handler):
    handler.reply("<p>m 1</p>", "text/html")


def endless(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.end_headers()
    while True:
        handler.wfile.write(b'm{a="%d"} 1\n' * 1000)


def torn(handler):
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"m 1\n")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (garbage, "line 2: "),
        (wrong_type, "answered Content-Type 'text/html'"),
        (endless, "body size limit exceeded: more than 100000 bytes"),
        (torn, "invalid HTTP response"),
        (None, "server returned HTTP status 404"),
    ],
)
def test_a_bad_target_is_down_with_the_reason_and_its_series_go_stale(
    target, files, monitor, answer, why
):
    files.job(target.address, body_size_limit="100000B").write()
    monitor.start().ready()
    until(lambda: monitor.value("m") == 1, what="the first sample")
    target.paths["/metrics"] = answer
    until(lambda: monitor.value("up") == 0, what="down")
    assert monitor.value("m") is None
    (shown,) = monitor.targets()
    assert shown["health"] == "down"
    assert why in shown["lastError"]
    assert why.split(":")[0] in monitor.get("/").body.replace("&#39;", "'")
    target.paths["/metrics"] = "m 3\n"
    until(lambda: monitor.value("m") == 3, what="back")
    assert monitor.targets()[0]["lastError"] == ""


def test_a_silent_target_times_out_and_delays_no_other(target, files, monitor):
    target.paths["/slow"] = lambda _: target.closing.wait(30)
    files.job(target.address, metrics_path="/slow").job(target.address).write()
    monitor.start().ready()
    until(lambda: monitor.value('up{job="job0"}') == 0, what="down")
    until(lambda: monitor.value('count_over_time(up{job="job1"}[5s])') >= 6)
    slow = next(t for t in monitor.targets() if t["scrapePool"] == "job0")
    assert "no complete response within 0.5 s" in slow["lastError"]


def test_a_refused_connection_is_reported_in_plain_words(files, monitor):
    files.job("127.0.0.1:1").write()
    monitor.start().ready()
    until(lambda: monitor.value("up") == 0, what="down")
    assert monitor.targets()[0]["lastError"] == "cannot connect: connection refused"


def test_discovered_targets_come_go_and_outlive_the_discovery(target, files, monitor):
    group = {"targets": [target.address], "labels": {"job": "drill-ab"}}
    found = [json.dumps([])]
    target.paths["/sd"] = lambda handler: handler.reply(found[0], "application/json")
    sd = {"url": f"http://{target.address}/sd", "refresh_interval": "200ms"}
    files.job("", http_sd_configs=[sd]).write()
    monitor.start().ready()
    assert monitor.targets() == []
    found[0] = json.dumps([group])
    until(lambda: monitor.value('m{job="drill-ab"}') == 1, what="discovered")
    assert "__meta_url" in monitor.targets()[0]["discoveredLabels"]
    found[0] = "not json"
    until(lambda: "discovery_failures_total 0" not in monitor.get("/metrics").body)
    assert monitor.value("up") == 1
    found[0] = json.dumps([])
    until(lambda: monitor.targets() == [], what="gone")
    until(lambda: monitor.value("m") is None, what="stale")
    assert monitor.value("up") is None


def test_the_scrape_says_who_asks_and_brings_its_credentials(target, files, monitor):
    (files.path / "token").write_text("t0ken\n")
    target.paths["/probe"] = "probe_success 1\n"
    files.job(
        "https://shop.example/",
        metrics_path="/probe",
        params={"module": ["http_2xx"]},
        authorization={"credentials_file": "token"},
        relabel_configs=[
            {"source_labels": ["__address__"], "target_label": "__param_target"},
            {"source_labels": ["__param_target"], "target_label": "instance"},
            {"target_label": "__address__", "replacement": target.address},
        ],
    ).write()
    monitor.start().ready()
    until(lambda: monitor.value('probe_success{instance="https://shop.example/"}') == 1)
    path, headers = target.seen[0]
    assert path == "/probe?module=http_2xx&target=https%3A%2F%2Fshop.example%2F"
    assert headers["Authorization"] == "Bearer t0ken"
    assert headers["Accept-Encoding"] == "gzip"
    assert headers["User-Agent"].startswith("watchroom/")
    assert "t0ken" not in monitor.get("/api/v1/targets").body


def test_a_file_of_targets_is_watched(target, files, monitor):
    (files.path / "t.yml").write_text("[]")
    sd = {"files": ["t.yml"], "refresh_interval": "200ms"}
    files.job("", file_sd_configs=[sd]).write()
    monitor.start().ready()
    (files.path / "t.yml").write_text(f"- targets: ['{target.address}']\n")
    until(lambda: monitor.value("m") == 1, what="discovered")


def test_a_row_on_its_way_is_stored_before_its_target_ends():
    release, begun = threading.Event(), threading.Event()

    def work():
        begun.set()
        release.wait(30)
        return "stored"

    async def story():
        with ThreadPoolExecutor(1) as pool:
            task = asyncio.create_task(in_pool(pool, work))
            await asyncio.to_thread(begun.wait, 30)
            task.cancel()
            done, _ = await asyncio.wait([task], timeout=0.05)
            assert not done
            release.set()
            await asyncio.wait([task], timeout=30)
            assert task.cancelled()

    asyncio.run(story())
