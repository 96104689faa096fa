"""/graph, to which alerts' generatorURL leads."""

from __future__ import annotations

import html
import re
import urllib.parse

import pytest
from tests.support.listener import listening
from tests.support.waiting import until
from tests.support.watched import Files, Monitor, Target

EVIL = "<script>x</script>"


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("graph")
    target = Target()
    target.paths["/metrics"] = f'm{{x="{EVIL}"}} 9\nm{{x="b"}} 7\n'
    with listening() as pages:
        files = Files(tmp_path / "monitoring", pages.url()).job(target.address)
        monitor = Monitor(files.write(), tmp_path)
        monitor.start().ready()
        yield monitor, pages
        monitor.stop()
    target.close()


def text(page):
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", page).split()))


def test_the_link_in_a_page_leads_to_what_the_rule_asks(watched):
    monitor, pages = watched
    alert = until(lambda: pages.messages("/hook")[-1]["alerts"][0], what="a page")
    link = urllib.parse.urlsplit(alert["generatorURL"])
    page = monitor.get(f"{link.path}?{link.query}")
    assert page.status == 200
    assert 'value="m &gt; 5"' in page.body
    assert "2 results" in text(page.body)
    assert text(page.body).index("x= b") > text(page.body).index("x= <script>")
    assert EVIL not in page.body
    assert "Used by TooHigh" in text(page.body)
    for one in monitor.get("/api/v2/alerts").json:
        link = urllib.parse.urlsplit(one["generatorURL"])
        assert monitor.get(f"{link.path}?{link.query}").status == 200


def test_what_cannot_be_asked_says_why(watched):
    monitor, _ = watched
    wrong = monitor.get("/graph?g0.expr=sum(")
    assert (wrong.status, 'class="problem"' in wrong.body) == (400, True)
    assert monitor.get("/graph").status == 200
    assert "No results now" in monitor.get("/graph?g0.expr=nothing").body
    assert "1 result" in text(monitor.get("/graph?g0.expr=1%2B1").body)
