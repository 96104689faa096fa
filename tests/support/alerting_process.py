"""The alerting half as a process of its own, to be killed: ``python -m`` with a JSON.

The samples follow a file instead of coming from targets: ``x{n="…"}`` is 1 while `n` is
one of the words in ``on``, and 0 while it is one of the names that are given. It prints
``up`` when it has evaluated once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import aiohttp
from tests.support.sample_rows import SampleRows

from watchroom.formats import alertmanager, rulefile
from watchroom.monitor.dispatch.dispatcher import Dispatcher
from watchroom.monitor.notify.ledger import Ledger
from watchroom.monitor.notify.notifier import Notifier, Pace
from watchroom.monitor.oncall.service import OnCall
from watchroom.monitor.routing.routing import Routing
from watchroom.monitor.routing.silences import Silences
from watchroom.monitor.rules.manager import RuleManager
from watchroom.monitor.state.database import StateDB
from watchroom.promql.engine import Engine


async def main(given):
    """Evaluate ten times a second and deliver until killed."""
    directory = Path(given["directory"])
    config = alertmanager.load(given["alertmanager"], "am.yml")
    with StateDB(directory) as state:
        ledger = Ledger(state)
        async with aiohttp.ClientSession() as session:
            routing = Routing(config, Silences(state))
            oncall = OnCall(
                state,
                token="of the tests",
                url="http://watch.example",
                places=routing.places,
            )
            dispatcher = Dispatcher(
                routing,
                policy=oncall,
                log=ledger.notification_log(),
                open_deliveries=ledger.open_deliveries(),
            )
            notifier = Notifier(
                config,
                config_dir=directory,
                dispatcher=dispatcher,
                ledger=ledger,
                session=session,
                external_url="http://watch.example",
                now=time.time,
                pace=Pace(first=0.1, longest=0.3, timeout=1.0),
                oncall=oncall,
            )
            store = SampleRows()
            rules = RuleManager(
                state=state, store=store, engine=Engine(), sink=notifier.submit
            )
            rules.load(
                {"r.yml": rulefile.load(given["rules"], "r.yml")},
                at_ms=round(time.time() * 1000),
                interval_seconds=1.0,
                external_labels={},
            )
            task = asyncio.create_task(notifier.run())
            said = False
            while not task.done():
                store.rows.clear()
                now = time.time()
                on = (directory / "on").read_text().split()
                for name in given["names"]:
                    store.put(round(now * 1000), "x", float(name in on), n=name)
                for key, _ in rules.groups():
                    await asyncio.to_thread(rules.evaluate, key, round(now * 1000))
                if not said:
                    said = True
                    print("up", flush=True)
                await asyncio.sleep(0.1)
            await task


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
