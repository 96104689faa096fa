"""What every test shares: the list of skips, for `tools/test.py` to count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--skips-to", help="write one line per skipped test to this file")


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
