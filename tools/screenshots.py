"""Take the README's pictures from a running demo: `make screenshots`.

Starts the demo's own stage, logs a browser in, lets traffic run, photographs the first
page when all is calm and again when the fault has fired, then every page that the
navigation leads to, and stops everything. Needs chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import re
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from examples.demo.screen import Screen  # noqa: E402 - it is beside this folder
from examples.demo.stage import Stage  # noqa: E402
from examples.demo.story import Pager, Site, Story  # noqa: E402
from tests.support.browser import browsing  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Browser

IMAGES = ROOT / "docs" / "images"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
# What a page still draws when it is loaded.
DRAWING_SECONDS = 2.0
# By the entry of the navigation that they are behind; their paths beside the root.
PAGES = {
    "dashboards/": ("dashboard", "dashboards/watchroom-charts?from=now-15m&to=now"),
    "alerts": ("alerts", "alerts"),
    "incidents/": ("incidents", "incidents/"),
    "silences": ("silences", "silences"),
    "runbooks/": ("runbook", "runbooks/HighErrorRate"),
    "checklist": ("checklist", "checklist"),
}


async def shoot(
    browser: Browser, url: str, name: str, device: str, *, dark: bool = False
) -> None:
    """Photograph `url` into docs/images/NAME.png."""
    width, height = SIZES[device]
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    await browser.do("Emulation.setEmulatedMedia", features=[scheme])
    await browser.do(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=device == "phone",
    )
    await browser.do("Page.navigate", url=url)
    await browser.until("document.readyState === 'complete'")
    await asyncio.sleep(DRAWING_SECONDS)
    picture = await browser.do("Page.captureScreenshot", format="png")
    target = IMAGES / f"{name}.png"
    target.write_bytes(base64.b64decode(picture["data"]))
    print(f"→ {target.relative_to(ROOT)}", flush=True)


async def photograph(stage: Stage, site: Site, story: Story, seconds: float) -> None:
    """Take every picture: calm, then firing, at desktop and phone size."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        async with browsing(Path(profile), stage.ask("login")["url"]) as browser:
            await browser.js("document.querySelector('form.login button').click()")
            await browser.until("document.querySelector('form.login') === null")
            story.normal(seconds)
            for device in SIZES:
                await shoot(browser, site.monitor, f"calm-{device}", device)
            site.fault("30%")
            story.wait("firing", lambda: site.state() == "firing", 60, "it is not")
            story.wait("seen", _after(12), 20, "")
            for device in SIZES:
                name = f"firing-{device}"
                await shoot(browser, site.monitor, name, device)
                await shoot(browser, site.monitor, f"{name}-dark", device, dark=True)
            root = site.monitor.rstrip("/")
            for name, path in pages(root):
                url = f"{root}/{path}"
                await shoot(browser, url, f"{name}-desktop", "desktop")
                await shoot(browser, url, f"{name}-phone-dark", "phone", dark=True)


def pages(root: str) -> list[tuple[str, str]]:
    """Return name and path of every page that the navigation leads to."""
    with urllib.request.urlopen(f"{root}/", timeout=20) as answer:
        links = re.findall(r'<a href="([^"]+)"', answer.read().decode())
    return [PAGES[link] for link in dict.fromkeys(links) if link in PAGES]


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def main() -> None:
    """Run the stage and photograph it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=90, help="calm before the fault"
    )
    options = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    pager = Pager()
    stage = Stage(ROOT / ".demo", [pager.url], rate=30)
    story = Story(stage, pager, Screen())
    try:
        story.open()
        asyncio.run(photograph(stage, story.site, story, options.seconds))
    finally:
        stage.stop()
        pager.shutdown()


if __name__ == "__main__":
    main()
