"""What every test shares: the tree under test, skips, when the slow ones begin."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Seconds that each module takes of one worker; what is not listed takes under QUICK.
SECONDS = ROOT / "tests" / "seconds.json"
QUICK = 2.0
# Children run the code that stands here, wherever another checkout is installed from.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--skips-to", help="write one line per skipped test to this file")
    parser.addoption(
        "--quick", action="store_true", help="only modules of under two seconds"
    )
    parser.addoption(
        "--seconds", action="store_true", help="write what each module took"
    )


def module_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    items: list[pytest.Item], config: pytest.Config
) -> None:
    """Leave out what is not quick, or let each worker begin with a share of the long.

    One of a minute and a half that begins last keeps all cores but one waiting. The
    scheduler deals the list out in equal runs, one a worker.
    """
    seconds: dict[str, float] = json.loads(SECONDS.read_text())
    if config.getoption("--quick"):
        long = ("slow", "serial", "matrix")
        left_out = [
            item
            for item in items
            if module_of(item.nodeid) in seconds
            or any(map(item.get_closest_marker, long))
        ]
        config.hook.pytest_deselected(items=left_out)
        out = set(left_out)
        items[:] = [item for item in items if item not in out]
    for item in items:
        # Coverage doubles what a test costs in this process, and these run others'.
        if item.get_closest_marker("slow") or item.get_closest_marker("judge"):
            item.add_marker(pytest.mark.no_cover)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
    if workers >= 2:
        items[:] = dealt(items, seconds, workers)


def dealt(
    items: list[pytest.Item], seconds: dict[str, float], workers: int
) -> list[pytest.Item]:
    """Return the list of which each worker gets an equal run, the longest first."""
    modules: dict[str, list[pytest.Item]] = {}
    for item in items:
        modules.setdefault(module_of(item.nodeid), []).append(item)
    shares: list[list[pytest.Item]] = [[] for _ in range(workers)]
    loads = [0.0] * workers
    longest = sorted(modules.keys() & seconds, key=lambda name: (-seconds[name], name))
    for name in longest:
        least = loads.index(min(loads))
        shares[least].extend(modules.pop(name))  # whole, for it shares its servers
        loads[least] += seconds[name]
    quick = [item for module in modules.values() for item in module]
    each = len(items) // workers
    for share in shares:
        room = max(0, each - len(share))
        share.extend(quick[:room])
        del quick[:room]
    return [item for share in shares for item in share] + quick


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Write who was skipped and what took long; under xdist only the controller."""
    if config.getoption("--seconds"):
        write_seconds(terminalreporter)
    target = config.getoption("--skips-to")
    if target is None:
        return
    lines = []
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        lines.append(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}\n")
    Path(target).write_text("".join(lines))


def write_seconds(reporter: pytest.TerminalReporter) -> None:
    """Bring the modules that ran up to date; the others keep what they took."""
    took: Counter[str] = Counter()
    for reports in reporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                took[module_of(report.nodeid)] += report.duration
    known = json.loads(SECONDS.read_text())
    for name, seconds in took.items():
        known.pop(name, None)
        if seconds >= QUICK:
            known[name] = round(seconds, 1)
    there = {name: known[name] for name in sorted(known) if (ROOT / name).exists()}
    SECONDS.write_text(json.dumps(there, indent=1) + "\n")
