"""From a failed request to the page: the chain that every Python and Django runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.waiting import until

if TYPE_CHECKING:
    from tests.support.chain import Chain

pytestmark = [pytest.mark.slow, pytest.mark.matrix]


def test_failed_requests_page(ledger: Chain) -> None:
    ledger.build("--interval", "1s", "--window", "10s", "--for", "2s")
    ledger.start_exporter()
    ledger.start_app()
    ledger.start_worker()
    ledger.start_load(25)
    ledger.start_monitor()
    traffic = "job:http_requests:rate10s > 0"
    until(lambda: ledger.query(ledger.monitor, traffic), 40, "traffic is seen")
    ledger.fault(errors="40%")
    page = ledger.hook.wait("watchroom", "HighErrorRate", "firing", 60)
    assert page.labels["severity"] == "critical"
