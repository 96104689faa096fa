"""When rules are evaluated: each group on its interval, in threads of their own."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchroom.monitor.schedule import next_due

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.monitor.rules.manager import RuleManager
    from watchroom.monitor.rules.views import GroupKey
    from watchroom.monitor.schedule import Schedule

_LOG = logging.getLogger(__name__)
_FIRST_SECONDS = 1.0
_EARLY_SECONDS = 1.0


class Evaluator:
    """Runs one loop per rule group.

    Args:
        rules: Evaluates.
        schedule: Returns how long after the interval's start scrapes are done.
        pulse: Counts missed and failed evaluations.
        now: Seconds since the epoch.
        workers: Threads.
    """

    def __init__(
        self,
        rules: RuleManager,
        schedule: Schedule,
        pulse: EvaluationCounts,
        *,
        now: Callable[[], float] = time.time,
        workers: int = 2,
    ) -> None:
        self._rules = rules
        self._schedule = schedule
        self._pulse = pulse
        self._now = now
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="rules")
        self._loops: dict[tuple[GroupKey, float], asyncio.Task[None]] = {}

    async def apply(self) -> None:
        """Run a loop for each group there is now, and none for the others."""
        groups = set(self._rules.groups())
        ended = [self._loops.pop(key) for key in list(self._loops) if key not in groups]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)
        for key, interval in groups:
            if (key, interval) not in self._loops:
                self._loops[key, interval] = asyncio.create_task(
                    self._loop(key, interval), name=f"rules {key.name}"
                )

    async def _loop(self, key: GroupKey, interval: float) -> None:
        # The first look comes as soon as the first scrapes can have answered.
        await asyncio.sleep(min(interval / 2, _FIRST_SECONDS))
        due = self._now()
        while True:
            await self._once(key, due)
            now = self._now()
            offset = self._schedule.evaluation_offset(interval)
            after = next_due(now, due, interval, offset)
            self._pulse.missed += max(0, round((after - due) / interval) - 1)
            due = after
            await asyncio.sleep(max(0.0, due - self._now()))
            woken = self._now()
            if due - woken > _EARLY_SECONDS:  # the clock was set back meanwhile
                due = woken

    async def _once(self, key: GroupKey, due: float) -> None:
        at_ms = round(due * 1000)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._pool, self._rules.evaluate, key, at_ms)
        except Exception:  # noqa: BLE001 - one group's bug must not end its watch
            self._pulse.failures += 1
            _LOG.exception("evaluating group %s failed inside the monitor", key.name)

    async def stop(self) -> None:
        """End every loop and wait for what is being evaluated."""
        for task in self._loops.values():
            task.cancel()
        await asyncio.gather(*self._loops.values(), return_exceptions=True)
        self._loops.clear()
        await asyncio.to_thread(self._pool.shutdown)


@dataclass
class EvaluationCounts:
    """How often rules were not evaluated, or that failed inside the monitor."""

    missed: int = 0
    failures: int = 0
