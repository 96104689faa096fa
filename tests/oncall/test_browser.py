"""Incidents in a real browser: readable, reachable, answered by keyboard."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.browser import browsing

pytestmark = pytest.mark.browser

READING = (Path(__file__).parents[1] / "console" / "reading.js").read_text()


async def readable(browser):
    for width in (380, 500, 1280):
        for scheme in ("light", "dark"):
            await browser.show(width, scheme)
            ratio, text = await browser.js(f"{READING}; lowestContrast()")
            assert ratio >= 4.5, (width, scheme, text)
        assert await browser.js(f"{READING}; smallTargets()") == [], width
        wide = await browser.js("document.documentElement.scrollWidth")
        assert wide <= width


def test_a_phone_answers_a_page_and_the_incident_can_be_read(calm, tmp_path):
    number = calm.fires()["id"]
    url = calm.here(calm.page(number)["ack_url"])

    async def look():
        async with browsing(tmp_path / "profile", url) as browser:
            await readable(browser)
            await browser.show(390, "dark")
            await browser.js("document.querySelector('select').value = 'Anna'")
            await browser.js("document.querySelector('button.first').focus()")
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}
            press = {"type": "keyDown", "text": "\r", **key}
            await browser.do("Input.dispatchKeyEvent", **press)
            await browser.until("document.body.innerText.includes('Anna is on it')")
            page = f"{calm.monitor.url}/incidents/{number}"
            await browser.do("Page.navigate", url=page)
            await browser.until("!!document.querySelector('#timeline li')")
            await readable(browser)
            await browser.do("Page.navigate", url=f"{calm.monitor.url}/incidents/")
            await browser.until(f"!!document.getElementById('incident-{number}')")
            await readable(browser)
            return browser.complaints

    complaints = asyncio.run(look())
    assert not [text for text in complaints if "Content Security Policy" in text]
    assert calm.incident(number)["acknowledged"]["by"] == "Anna"
    calm.recovers(number)
