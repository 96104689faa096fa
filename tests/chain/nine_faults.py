"""Nine faults on both engines: one page each, at Alertmanager and at the monitor.

Not in `make test`, for it runs for a quarter of an hour; by its name:
``pytest tests/chain/nine_faults.py``. The shop's series are served over HTTP to the
embedded monitor and to Prometheus at once, and all rules are the catalogue's own with
short windows. The same in simulated time: tests/monitor/oncall/test_one_cause.py.
"""

from __future__ import annotations

import itertools
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest
from tests.support.chain import chain, get
from tests.support.faults import FAULTS, WARNED, Shop
from tests.support.plans import OPS, built, planned, put
from tests.support.waiting import until

from watchroom.formats.series import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.chain import Chain

pytestmark = [pytest.mark.judge, pytest.mark.slow]

# What pages for the fault, or would; each fires on both before anything is counted.
URGENT = {
    "database": {"DatabaseDown", "HealthCheckFailing", "SiteDown", "HighErrorRate"},
    "broker": {"CeleryBrokerDown"},
    "cache": {"SiteDown", "HighErrorRate"},
    "app": {"AppDown", "SiteDown"},
    "disk": {"HealthCheckFailing", "SiteDown", "HighErrorRate"},
    "certificate": {"SiteDown", "CertificateExpiringSoon"},
    "worker": {"CeleryWorkersDown"},
    "beat": {"ScheduledTaskOverdue"},
    "dns": {"DatabaseDown", "CeleryBrokerDown", "SiteDown", "HealthCheckFailing"},
}


class Handler(BaseHTTPRequestHandler):
    """Answers as an exporter: its own series, those of a probe, and no drill."""

    pages: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        body = self.pages["site" if self.path.startswith("/probe") else "app"]
        if self.path.startswith("/drill"):
            body = "[]"
        kind = "application/json" if body == "[]" else "text/plain; version=0.0.4"
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args: object) -> None:
        del args


def pages(shop: Shop) -> dict[str, str]:
    """Return what a shop's exporter serves now, by job."""
    found = {"app": "", "site": ""}
    for job, name, labels, value in shop.scrape(time.time()):
        if job in found and name != "up":
            series = text_of([("__name__", name), *labels.items()])
            found[job] += f"{series} {value!r}\n"
    return found


@contextmanager
def exporter(shop: Shop) -> Iterator[str]:
    """Serve a shop's series as its exporter does; one step a second."""
    over = threading.Event()
    began = time.monotonic()
    Handler.pages = pages(shop)

    def beats() -> None:
        for count in itertools.count(1):
            if over.wait(max(0.0, began + count - time.monotonic())):
                return
            Handler.pages = pages(shop)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threads = [threading.Thread(target=one) for one in (server.serve_forever, beats)]
    for thread in threads:
        thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        over.set()
        server.shutdown()
        for thread in threads:
            thread.join()
        server.server_close()


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[tuple[Chain, Shop]]:
    """A shop watched by both, calm for longer than the windows."""
    shop = Shop(1)
    with chain(tmp_path) as made, exporter(shop) as address:
        every = OPS._replace(severities=("critical", "warning"), url=made.hook.url)
        plan = planned(
            receivers=[every],
            exporter=address,
            alertmanager=made.alertmanager.removeprefix("http://"),
            interval="1s",
            window="20s",
            for_="4s",
        )
        put(made.monitoring, built(plan))
        made.start_monitor()
        made.start_pair()
        time.sleep(35)
        yield made, shop


def firing(made: Chain, server: str) -> set[str]:
    found = made.query(server, 'ALERTS{alertstate="firing"}')
    return {one["metric"]["alertname"] for one in found}


@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_one_page_on_both_engines(
    watched: tuple[Chain, Shop], fault: str
) -> None:
    made, shop = watched
    assert made.hook.messages == []
    shop.broken = {fault}
    for server in (made.monitor, made.prometheus):
        try:
            until(
                lambda s=server: firing(made, s) >= URGENT[fault],
                240,
                f"all on {server}",
            )
        except AssertionError:
            print(firing(made, server))
            raise
    time.sleep(70)  # a group's wait and its next message
    for sender in ("watchroom", "alertmanager"):
        said = made.hook.of(sender)
        paged = {m.at for m in said if m.labels["priority"] == "P1"}
        print(fault, sender, [(m.name, m.labels["priority"], m.status) for m in said])
        assert len(paged) == (fault not in WARNED)
    incidents = get(f"{made.monitor}/api/v1/watchroom/incidents")["data"]
    print(fault, [one["title"] for one in incidents])
    assert len(incidents) == 1
