"""Debian's Chromium, spoken to by its debugging protocol."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import shutil
import subprocess
from pathlib import Path

import aiohttp
import pytest
from tests.support.waiting import until, until_async

READING = Path(__file__).with_suffix(".js").read_text()


class Browser:
    """Chromium, spoken to by its debugging protocol."""

    def __init__(self, socket):
        self.socket = socket
        self.ids = itertools.count(1)
        self.complaints = []

    async def do(self, method, **params):
        number = next(self.ids)
        await self.socket.send_json({"id": number, "method": method, "params": params})
        while True:
            said = json.loads((await self.socket.receive(timeout=20)).data)
            if said.get("method") == "Log.entryAdded":
                self.complaints.append(said["params"]["entry"]["text"])
            if said.get("id") == number:
                return said["result"]

    async def js(self, code):
        result = await self.do("Runtime.evaluate", expression=code, returnByValue=True)
        return result["result"].get("value")

    async def until(self, code, seconds=15):
        await until_async(lambda: self.js(code), seconds, code, every=0.1)

    async def login(self, monitor):
        """Log in at a monitor, and load its first page again."""
        name, _, value = monitor.login()["Cookie"].partition("=")
        await self.do("Network.setCookie", name=name, value=value, url=monitor.url)
        await self.do("Page.navigate", url=monitor.url)

    async def show(self, width, scheme):
        media = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        await self.do("Emulation.setEmulatedMedia", features=media)
        await self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    async def readable(self, schemes=("light", "dark")):
        """Assert that text can be read, links be hit and nothing juts out."""
        for width in (380, 500, 1280):
            for scheme in schemes:
                await self.show(width, scheme)
                ratio, text = await self.js(f"{READING}; lowestContrast()")
                assert ratio >= 4.5, (width, scheme, text)
            for fault in ("smallTargets", "unnamed", "unreachable"):
                found = await self.js(f"{READING}; {fault}()")
                assert found == [], (width, fault)
            wide = await self.js("document.documentElement.scrollWidth")
            assert wide <= width


@contextlib.asynccontextmanager
async def browsing(profile, url):
    binary = shutil.which("chromium")
    if binary is None:
        pytest.skip("needs Debian's chromium")
    flags = [
        *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update"),
        *("--disable-sync", "--remote-debugging-port=0"),
        f"--user-data-dir={profile}",
    ]
    process = subprocess.Popen(  # noqa: ASYNC220 - starting it takes no time
        [binary, *flags, "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file = profile / "DevToolsActivePort"
        await asyncio.to_thread(
            until, lambda: port_file.exists() and port_file.read_text().strip(), 20
        )
        port = port_file.read_text().split()[0]
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = await answer.json(content_type=None)
            page = next(one for one in pages if one["type"] == "page")
            async with session.ws_connect(page["webSocketDebuggerUrl"]) as socket:
                browser = Browser(socket)
                await browser.do("Log.enable")
                await browser.do("Page.navigate", url=url)
                await browser.until("document.readyState === 'complete'")
                yield browser
    finally:
        process.terminate()
        process.wait(10)
