"""The page of a running monitor: one sentence, tiles, everything escaped."""

from __future__ import annotations

import re

import pytest
from tests.support.listener import listening
from tests.support.waiting import until
from tests.support.watched import Files, Monitor, Target

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def watched(tmp_path):
    target = Target()
    with listening() as pages:
        files = Files(tmp_path / "monitoring", pages.url()).job(target.address)
        files.rules = files.rules.replace("m is {{ $value }}", f"m is high {EVIL}")
        monitor = Monitor(files.write(), tmp_path)
        monitor.start().ready()
        yield monitor, target
        monitor.stop()
    target.close()


def test_calm_then_firing_with_who_was_notified_then_calm_again(watched):
    monitor, target = watched
    until(lambda: "within its limit" in monitor.get("/").body, what="calm")
    page = monitor.get("/").body
    assert "● ok" in re.sub(r"<[^>]+>", "", page)
    assert "1 of 1 up" in page
    target.paths["/metrics"] = "m 9\n"
    until(lambda: "TooHigh is firing" in monitor.get("/").body, what="firing")
    until(lambda: "ops notified, delivered" in monitor.get("/").body, what="told")
    page = monitor.get("/").body
    assert 'class="tile fire"' in page
    assert 'href="runbooks/TooHigh"' in page
    assert "none allowed" not in page
    assert "limit 5" in page
    target.paths["/metrics"] = "m 1\n"
    until(lambda: "within its limit" in monitor.get("/board").body, what="calm again")
    until(lambda: "fired for" in monitor.get("/board").body, what="the change")


def test_labels_titles_and_annotations_are_text(watched):
    monitor, target = watched
    target.paths["/metrics"] = f'm{{x="{EVIL}"}} 9\nm{{x="b"}} 1\n'
    until(lambda: "TooHigh is firing" in monitor.get("/").body, what="firing")
    page = monitor.get("/").body
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<b>m</b>" not in page
    assert "<script src=" in page
    assert not re.search(r"<script(?! src=)", page)
    assert not re.search(r"\son\w+=|style=", page)


def test_a_silent_target_makes_its_vital_blind(watched):
    monitor, target = watched
    until(lambda: "within its limit" in monitor.get("/").body)
    target.paths["/metrics"] = None
    until(lambda: "No data for any vital" in monitor.get("/").body, what="blind")
    assert 'class="tile blind"' in monitor.get("/").body


def test_the_page_asks_no_outside_host_and_works_without_its_script(watched):
    monitor, _ = watched
    page = monitor.get("/").body
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert '<noscript><meta http-equiv="refresh"' in page
    for name, kind in (("console.css", "text/css"), ("console.js", "text/javascript")):
        found = monitor.get(f"/static/{name}")
        assert found.headers["Content-Type"].startswith(kind)
        assert "http://" not in found.body
        assert "https://" not in found.body


def test_the_fragment_is_the_page_without_its_frame(watched):
    monitor, _ = watched
    until(lambda: 'id="vital-1"' in monitor.get("/board").body)
    fragment = monitor.get("/board").body
    assert "<html" not in fragment
    assert fragment.lstrip().startswith("<section")


def test_runbooks_are_served_escaped(watched):
    monitor, _ = watched
    page = monitor.get("/runbooks/TooHigh")
    assert "&lt;i&gt;look&lt;/i&gt;" in page.body
    assert 'href="TooHigh"' in monitor.get("/runbooks/").body
    assert monitor.get("/runbooks/Missing").status == 404
