"""What every test shares: the tree under test, skips, when the slow ones begin."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Children run the code that stands here, wherever another checkout is installed from.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--skips-to", help="write one line per skipped test to this file")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each worker begin with its share of the slow tests.

    One of a minute and a half that begins last keeps all cores but one waiting. The
    scheduler deals the list out in equal runs, one a worker.
    """
    for item in items:
        # Coverage doubles what a test costs in this process, and these run others'.
        if item.get_closest_marker("slow") or item.get_closest_marker("judge"):
            item.add_marker(pytest.mark.no_cover)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
    if workers < 2:
        return
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    modules: dict[str, list[pytest.Item]] = {}
    fast = []
    for item in items:
        if item.get_closest_marker("slow"):
            modules.setdefault(item.nodeid.partition("::")[0], []).append(item)
        else:
            fast.append(item)
    for module in modules.values():  # whole, for they share their servers
        min(shares, key=len).extend(module)
    each = len(items) // workers
    items.clear()
    for share in shares:
        room = max(0, each - len(share))
        items += share + fast[:room]
        del fast[:room]
    items += fast


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Write who was skipped and why; under xdist only the controller comes here."""
    target = config.getoption("--skips-to")
    if target is None:
        return
    lines = []
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        lines.append(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}\n")
    Path(target).write_text("".join(lines))
