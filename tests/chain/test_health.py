"""Servers that the app needs stop: the app says so, it pages, and it ends."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.support.chain import chain
from tests.support.ports import free_port
from tests.support.postgres import postgres
from tests.support.redis_server import redis_server
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_what_stops_is_named_by_a_page_and_forgotten_when_it_is_back(
    tmp_path: Path,
) -> None:
    port = free_port()
    with ExitStack() as servers:
        database = servers.enter_context(postgres())
        redis = servers.enter_context(redis_server(port))
        settings = {"DATABASE_URL": database, "REDIS_URL": redis, "LEDGER_SITES": ""}
        with chain(tmp_path, **settings) as ledger:
            for environ in (ledger.environ, ledger.processes.environ):
                environ["LEDGER_HEALTH_URL"] = ledger.app

            def passing() -> set[str]:
                found = ledger.query(ledger.monitor, "health_check_status == 1")
                return {one["metric"]["check"] for one in found}

            ledger.manage("migrate")
            ledger.build("--interval", "1s", "--window", "10s", "--for", "2s")
            ledger.start_exporter()
            ledger.start_app("--workers", "2")
            ledger.start_monitor()
            every = {"database", "cache", "broker", "accounts"}
            until(lambda: passing() == every, 60, "every check is seen and passes")

            servers.close()

            def failing(priority: str) -> set[str]:
                fires = f'alertstate="firing",priority="{priority}"'
                found = ledger.query(
                    ledger.monitor, f'ALERTS{{vital="HealthCheckFailing",{fires}}}'
                )
                return {one["metric"]["check"] for one in found}

            until(
                lambda: failing("P1") == {"database", "accounts"},
                60,
                "the hard checks fail",
            )
            until(
                lambda: failing("P2") == {"broker", "cache"}, 60, "the soft checks fail"
            )
            # All of it is one fault, and whichever rule came first has paged for it.
            page = until(
                lambda: ledger.hook.of("watchroom"), 30, "somebody is called for it"
            )[0]
            assert page.labels["priority"] == "P1"

            with redis_server(port):
                # The page of it comes with the group's next message, in a minute.
                until(
                    lambda: (
                        not ledger.query(
                            ledger.monitor, 'ALERTS{alertname="SoftHealthCheckFailing"}'
                        )
                    ),
                    60,
                    "the soft checks pass again",
                )
                assert passing() >= {"cache", "broker"}
