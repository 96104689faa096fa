"""Rules that hang: the monitor's own wiring, where no query can be made to."""

from __future__ import annotations

import asyncio
import contextlib
import time

from watchroom.listen import Listen
from watchroom.monitor.access.policy import Access
from watchroom.monitor.alert import Alert
from watchroom.monitor.config import load
from watchroom.monitor.console.overview.board import Boards
from watchroom.monitor.main import Options, _Monitor
from watchroom.monitor.reload import load_rules
from watchroom.monitor.scrape.client import session
from watchroom.monitor.state.database import StateDB
from watchroom.monitor.store import Store
from watchroom.promql.model import labels_of

WATCHDOG = Alert(labels_of({"alertname": "Watchdog"}), (), 1, None, 1)


def test_one_group_that_stands_still_ends_the_heartbeat_and_is_on_the_page(
    files, tmp_path
):
    files.rules += "  - {name: slow, rules: [{record: n, expr: m}]}\n"
    files.job("127.0.0.1:1").write()
    loaded, where = load(files.path), Listen("127.0.0.1", 9)

    async def looked(state, store):
        access = Access("token", configured=False, listen=where)
        monitor = _Monitor(
            Options(files.path, where), loaded, access, state, store, "http://localhost"
        )
        async with session() as one:
            services, _, _ = monitor._parts(one, one)
            load_rules(services, loaded)
            policy_of = services.dispatcher.policy.policy_of
            found = []
            for stands_still in (0, 70):
                now_ms = round(time.time() * 1000)
                for key, _ in services.rules.groups():
                    services.rules.evaluate(key, now_ms)
                services.rules.loaded.groups[key].seen -= stands_still
                quiet = policy_of((), [WATCHDOG], now_ms).quiet
                trust = (await Boards(services).current()).trust
                late = trust.evaluated_ago - stands_still
                assert 0 <= late < 30, "but for what this took"
                found.append((quiet, trust.watching))
            services.rules.loaded.groups[key].seen += 70
            assert not policy_of((), [WATCHDOG], now_ms).quiet
            # As if the clock had been right then, and was set back.
            store.append("t", now_ms + 3_600_000, [WATCHDOG.labels], [1.0])
            assert policy_of((), [WATCHDOG], now_ms).quiet
            await asyncio.to_thread(services.queries.close)
            return found

    with contextlib.closing(StateDB(tmp_path)) as state:
        store = Store(
            tmp_path, retention_seconds=60.0, retention_bytes=2**20, now=time.time
        )
        with contextlib.closing(store):
            found = asyncio.run(looked(state, store))
    assert found == [(False, True), (True, False)]
