"""Queries are bounded in number and time, and never hold up the loop."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from watchroom.errors import QuerySyntaxError
from watchroom.monitor.queries import Queries, QueriesBusyError, QueryTimeoutError
from watchroom.monitor.store import Store
from watchroom.promql.engine import Engine
from watchroom.promql.model import Vector


@pytest.fixture
def store(tmp_path):
    with Store(
        tmp_path / "s", retention_seconds=3600, retention_bytes=1 << 30
    ) as found:
        found.append("t", 1_000_000, [(("__name__", "m"),)], [7.0])
        yield found


def answering(store, work, **options):
    async def main():
        queries = Queries(store, Engine(), **options)
        try:
            return await work(queries)
        finally:
            queries.close()

    return asyncio.run(main())


def test_work_sees_a_snapshot(store):
    async def work(queries):
        return await queries.run(
            lambda engine, view: engine.instant(view, "m", 1_000_500)
        )

    assert answering(store, work) == Vector([((("__name__", "m"),), 7.0)])


def test_a_caller_waits_no_longer_than_the_deadline_while_the_loop_runs_on(store):
    release = threading.Event()

    async def work(queries):
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        beating = asyncio.create_task(tick())
        began = time.monotonic()
        with pytest.raises(QueryTimeoutError):
            await queries.run(lambda *_: release.wait(10), 0.2)
        took = time.monotonic() - began
        beating.cancel()
        release.set()
        return took, ticks, queries.counts["timeout"]

    took, ticks, timeouts = answering(store, work)
    assert 0.2 <= took < 1
    assert ticks > 5
    assert timeouts == 1


def test_more_than_may_wait_are_refused_at_once(store):
    release = threading.Event()

    async def work(queries):
        tasks = [
            asyncio.create_task(queries.run(lambda *_: release.wait(10)))
            for _ in range(3)
        ]
        await asyncio.sleep(0.05)
        with pytest.raises(QueriesBusyError):
            await queries.run(lambda *_: None)
        release.set()
        await asyncio.gather(*tasks)
        return await queries.run(lambda *_: "free again")

    assert answering(store, work, workers=1, waiting=2) == "free again"


def test_a_query_that_waited_past_its_deadline_is_not_begun(store):
    release, begun = threading.Event(), []

    async def work(queries):
        first = asyncio.create_task(queries.run(lambda *_: release.wait(10)))
        await asyncio.sleep(0.02)
        with pytest.raises(QueryTimeoutError):
            await queries.run(lambda *_: begun.append(1), 0.05)
        release.set()
        await first

    answering(store, work, workers=1)
    assert begun == []


def test_errors_of_the_query_reach_the_caller_and_are_counted(store):
    async def work(queries):
        with pytest.raises(QuerySyntaxError):
            await queries.run(lambda engine, view: engine.instant(view, "sum(", 0))
        return queries.counts["failed"]

    assert answering(store, work) == 1
