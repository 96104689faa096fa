"""Take the README's pictures from a running demo: `make screenshots`.

Starts the demo's own stage, lets traffic run, photographs the first page when all is
calm and again when the fault has fired, then every page that the navigation leads to,
and stops everything. Needs chromium.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from watchroom.demo.pager import Pager
from watchroom.demo.stage import WINDOW, Stage
from watchroom.demo.story import Site, Story

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
SIZES = {"desktop": "1280,900", "phone": "390,844"}
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
    *("--no-first-run", "--disable-background-networking", "--disable-quic"),
    *("--disable-component-update", "--disable-sync", "--virtual-time-budget=3000"),
)


# By the entry of the navigation that they are behind; their paths beside the root.
PAGES = {
    "dashboards/": ("dashboard", "dashboards/watchroom-charts?from=now-15m&to=now"),
    "alerts": ("alerts", "alerts"),
    "incidents/": ("incidents", "incidents/"),
    "runbooks/": ("runbook", "runbooks/HighErrorRate"),
    "checklist": ("checklist", "checklist"),
}


def shoot(url: str, name: str, size: str, *, dark: bool = False) -> None:
    """Photograph `url` into docs/images/NAME.png."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.exit("screenshots need chromium: apt-get install chromium")
    target = IMAGES / f"{name}.png"
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                *(browser, *QUIET, f"--user-data-dir={profile}"),
                *(f"--window-size={size}", f"--screenshot={target}"),
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                url,
            ],
            check=True,
            stderr=subprocess.DEVNULL,
        )
    print(f"→ {target.relative_to(ROOT)}", flush=True)


def photograph(site: Site, story: Story, seconds: float) -> None:
    """Take every picture: calm, then firing, at desktop and phone size."""
    story.normal(seconds)
    for device, size in SIZES.items():
        shoot(site.monitor, f"calm-{device}", size)
    site.fault("errors", "30%")
    story.wait("firing", lambda: site.state() == "firing", 60, "the alert is not")
    story.wait("seen", _after(8), 20, "")
    for device, size in SIZES.items():
        shoot(site.monitor, f"firing-{device}", size)
        shoot(site.monitor, f"firing-{device}-dark", size, dark=True)
    root = site.monitor.rstrip("/")
    for name, path in pages(root):
        shoot(f"{root}/{path}", f"{name}-desktop", SIZES["desktop"])
        shoot(f"{root}/{path}", f"{name}-phone-dark", SIZES["phone"], dark=True)


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
    site = Site(stage.app_url, stage.monitor_url, WINDOW)
    story = Story(
        site,
        pager,
        lambda what, text: print(f"→ {what}: {text}"),
        stage.processes.check,
    )
    try:
        stage.prepare()
        stage.start()
        story.wait("start", site.answers, 45, "the app does not answer")
        stage.load()
        photograph(site, story, options.seconds)
    finally:
        stage.stop()
        pager.close()


if __name__ == "__main__":
    main()
