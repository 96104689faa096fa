"""What runbooks tell people to run, run: on a chain with the sample app and traffic."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.parse
from typing import TYPE_CHECKING

import pytest
from tests.support.chain import get
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.chain import Chain

pytestmark = pytest.mark.slow

# They ask servers that this chain has not, or the whole machine.
ELSEWHERE = re.compile(
    r"\b(psql|redis-cli|journalctl|dmesg|systemctl|pg_isready|manage\.py)\b"
)


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)\n```", page, re.DOTALL)


def test_every_query_and_command_of_every_runbook_answers(ledger: Chain) -> None:
    ledger.build("--interval", "1s", "--window", "12s", "--for", "3s")
    ledger.start_exporter()
    ledger.start_app()
    ledger.start_load(10)
    ledger.start_monitor()
    until(
        lambda: ledger.query(ledger.monitor, "sum(rate(http_requests_total[12s])) > 1"),
        60,
        "the monitor sees traffic",
    )
    pages = sorted((ledger.monitoring / "runbooks").glob("*.md"))
    assert pages
    asked = ran = 0
    for path in pages:
        page = path.read_text()
        for query in blocks(page, "promql"):
            url = f"{ledger.monitor}/api/v1/query?"
            answer = get(url + urllib.parse.urlencode({"query": query}))
            assert answer["status"] == "success", (path.name, query)
            asked += 1
        for block in blocks(page, "sh"):
            for command in statements(block):
                ran += run(command, path.name, ledger)
    print(f"{len(pages)} pages: {asked} queries answered, {ran} commands run")
    assert asked > len(pages)
    assert ran > len(pages) // 2


def statements(block: str) -> Iterator[str]:
    """Yield a block's commands: lines, joined as long as a quote is open."""
    waiting = ""
    for line in block.splitlines():
        waiting += line
        done = subprocess.run(
            ["bash", "-n"], input=waiting, capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            yield waiting
            waiting = ""
        else:
            waiting += "\n"
    assert not waiting, block


def run(command: str, page: str, ledger: Chain) -> int:
    """Run one line and return 1, or 0 for what needs other servers."""
    command = command.replace("YOUR-SITE", ledger.app).replace(
        "MOUNTPOINT", str(ledger.directory)
    )
    if "YOUR-" in command or ELSEWHERE.search(command):
        return 0
    if shutil.which(command.split()[0]) is None:
        return 0
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    # 1 is a grep that finds nothing, 141 a program whose reader had enough.
    assert done.returncode in {0, 1, 141}, (page, command, done.stderr)
    if "curl -sv" not in command:
        assert not done.stderr, (page, command, done.stderr)
    return 1
