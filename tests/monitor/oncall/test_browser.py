"""Incidents in a real browser: readable, reachable, answered by keyboard."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from tests.support.browser import browsing

pytestmark = pytest.mark.browser


def test_a_phone_answers_a_page_and_the_incident_can_be_read(calm, tmp_path):
    number = calm.fires()["id"]
    url = calm.here(calm.page(number)["ack_url"])

    async def look():
        async with browsing(tmp_path / "profile", url) as browser:
            await browser.readable()
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
            await browser.readable()
            await browser.do("Page.navigate", url=f"{calm.monitor.url}/incidents/")
            await browser.until(f"!!document.getElementById('incident-{number}')")
            await browser.readable()
            link = calm.command("login", "--json").stdout
            path = urlsplit(json.loads(link)["url"]).path
            await browser.do("Page.navigate", url=f"{calm.monitor.url}{path}")
            await browser.until("!!document.querySelector('form.login button')")
            await browser.js("document.querySelector('form.login button').click()")
            await browser.until("document.body.innerText.includes('Log out')")
            await browser.do("Page.navigate", url=page)
            await browser.until("!!document.querySelector('form#act input[name=text]')")
            await browser.until("document.readyState === 'complete'")
            await browser.readable()
            return browser.complaints

    complaints = asyncio.run(look())
    assert not [text for text in complaints if "Content Security Policy" in text]
    assert calm.incident(number)["acknowledged"]["by"] == "Anna"
    calm.recovers(number)
