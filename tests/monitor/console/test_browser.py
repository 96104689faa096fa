"""The page in a real browser: live without reload, readable, reachable."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.support.browser import browsing
from tests.support.listener import listening
from tests.support.waiting import until
from tests.support.watched import Files, Monitor, Target

pytestmark = pytest.mark.browser


@pytest.fixture
def watched(tmp_path):
    target = Target()
    with listening() as pages:
        files = Files(tmp_path / "monitoring", pages.url()).job(target.address)
        monitor = Monitor(files.write(), tmp_path)
        monitor.start().ready()
        until(lambda: "within its limit" in monitor.get("/").body)
        yield monitor, target
        monitor.stop()
    target.close()


CHART = {
    "id": 1,
    "title": "Size",
    "type": "timeseries",
    "gridPos": {"h": 8, "w": 12, "x": 0, "y": 0},
    "fieldConfig": {"defaults": {"unit": "short"}},
    "targets": [{"refId": "A", "expr": "m", "legendFormat": "m"}],
}
NOTHING = CHART | {"id": 2, "targets": [{"refId": "A", "expr": "nothing"}]}
WRONG = CHART | {"id": 3, "targets": [{"refId": "A", "expr": "sum("}]}


@pytest.fixture
def charted(watched):
    monitor, target = watched
    script = monitor.get("/static/vendor/uPlot.iife.min.js").status == 200
    if not script:
        pytest.skip("needs the console's files: python3 tools/setup.py test")
    board = {"uid": "charts", "title": "Charts", "panels": [CHART, NOTHING, WRONG]}
    (monitor.files.path / "grafana" / "charts.json").write_text(json.dumps(board))
    assert monitor.post("/-/reload").status == 200
    return monitor, target


def state(number, wanted):
    return f"document.getElementById('panel-{number}').dataset.state === '{wanted}'"


def test_charts_draw_go_on_and_move_by_keys_at_every_size(charted, tmp_path):
    monitor, target = charted
    url = f"{monitor.url}/dashboards/charts?from=now-15m&to=now"

    async def look():
        async with browsing(tmp_path / "profile", url) as browser:
            await browser.until(state(1, "ok"))
            await browser.until(state(2, "empty"))
            # What cannot be seen is not asked for.
            await browser.js("document.getElementById('panel-3').scrollIntoView()")
            await browser.until(state(3, "error"))
            await browser.js("scrollTo(0, 0)")
            assert await browser.js("document.querySelectorAll('canvas').length") == 1
            target.paths["/metrics"] = "m 9\n"
            await browser.until(f"{LEGEND}.includes('9')")
            await browser.until(
                "document.getElementById('marks').innerText.includes('TooHigh')"
            )
            await browser.js("document.querySelector('#panel-1 .plot').focus()")
            key = {"key": "ArrowLeft", "code": "ArrowLeft", "windowsVirtualKeyCode": 37}
            await browser.do("Input.dispatchKeyEvent", type="keyDown", **key)
            await browser.until(
                "document.querySelector('#panel-1 .said').innerText.includes('m ')"
            )
            said = "document.querySelector('#panel-1 .plot').getAttribute('aria-label')"
            assert await browser.js(f"{said}.startsWith('Size, last: m 9;')")
            await browser.readable()
            await browser.show(380, "dark")
            await browser.until(
                "document.querySelector('canvas').getBoundingClientRect().right"
                " <= innerWidth"
            )
            return browser.complaints

    complaints = asyncio.run(look())
    assert not [text for text in complaints if "Content Security Policy" in text]


FIELD = "document.querySelector('#board input[name=text]')"
LEGEND = "document.querySelector('#panel-1 .legend').innerText"


def test_the_page_stays_current_without_losing_the_readers_place(watched, tmp_path):
    monitor, target = watched
    if monitor.get("/static/vendor/idiomorph.min.js").status != 200:
        pytest.skip("needs the console's files: python3 tools/setup.py test")

    async def look():
        async with browsing(tmp_path / "profile", monitor.url) as browser:
            await browser.js("window.same = document.getElementById('vital-1')")
            await browser.js("window.same.focus()")
            target.paths["/metrics"] = "m 9\n"
            await browser.until("document.body.innerText.includes('TooHigh is firing')")
            assert await browser.js("document.title.startsWith('▲')")
            assert await browser.js("document.activeElement === window.same")
            assert await browser.js("window.same.classList.contains('fire')")
            await browser.login(monitor)
            await browser.until(f"!!{FIELD}")
            await browser.js(f"{FIELD}.value = 'rolling back'")
            target.paths["/metrics"] = "m 1234\n"
            await browser.until("document.body.innerText.includes('1234')")
            assert await browser.js(f"{FIELD}.value") == "rolling back"
            await asyncio.to_thread(monitor.stop)
            await browser.until("document.body.classList.contains('lost')")
            assert "no response for" in await browser.js("document.body.innerText")
            return browser.complaints

    complaints = asyncio.run(look())
    assert not [text for text in complaints if "Content Security Policy" in text]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_and_links_hit_on_every_width(watched, tmp_path, scheme):
    monitor, target = watched
    target.paths["/metrics"] = "m 9\n"
    until(lambda: "TooHigh is firing" in monitor.get("/").body)

    async def look():
        async with browsing(tmp_path / "profile", monitor.url) as browser:
            await browser.until("!!document.getElementById('answer')")
            await browser.readable([scheme])
            await browser.login(monitor)
            await browser.until("!!document.getElementById('acknowledge')")
            await browser.until("document.readyState === 'complete'")
            await browser.readable([scheme])
            for path in ("alerts", "runbooks/TooHigh", "checklist", "nowhere"):
                await browser.do("Page.navigate", url=f"{monitor.url}/{path}")
                await browser.until("document.readyState === 'complete'")
                await browser.until("!!document.querySelector('h1')")
                await browser.readable([scheme])
            animated = await browser.js(
                "document.getAnimations().filter(a => a.playState === 'running').length"
            )
            assert animated == 0

    asyncio.run(look())
