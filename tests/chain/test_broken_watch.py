"""With any part of the watch broken, the app answers as before and nothing dies."""

from __future__ import annotations

import subprocess
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.chain import Chain

pytestmark = pytest.mark.slow
PATHS = ("", "invoices/", "api/invoices/", "no-such-page/")


def answers(app: str) -> list[tuple[int, int]]:
    """Return status and length of each page, asked often enough to meet each worker."""
    found = []
    for _ in range(12):
        for path in PATHS:
            try:
                with urllib.request.urlopen(app + path, timeout=10) as answer:
                    found.append((answer.status, len(answer.read())))
            except urllib.error.HTTPError as error:
                with error:
                    found.append((error.code, len(error.read())))
    return found


def workers(ledger: Chain) -> set[int]:
    """Return the pids of gunicorn's workers."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(ledger.pid("app"))],
        capture_output=True,
        text=True,
        check=True,
    )
    return {int(pid) for pid in found.stdout.split()}
