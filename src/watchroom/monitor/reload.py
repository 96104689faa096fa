"""Reading the files again: all of them first, then all of it or nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from watchroom.errors import WatchroomError
from watchroom.monitor.config import load

if TYPE_CHECKING:
    from watchroom.monitor.config import Loaded
    from watchroom.monitor.evaluate import Evaluator
    from watchroom.monitor.jobs import Jobs
    from watchroom.monitor.services import Services

_LOG = logging.getLogger(__name__)


class Reloader:
    """Puts a configuration in force, and keeps the old one when the new one is bad."""

    def __init__(self, services: Services, jobs: Jobs, evaluator: Evaluator) -> None:
        self._services = services
        self._jobs = jobs
        self._evaluator = evaluator
        self._lock = asyncio.Lock()

    async def __call__(self) -> str:
        """Read and apply; return why the old configuration stays, or ""."""
        async with self._lock:
            services = self._services
            services.reloads.at = services.now()
            try:
                loaded = await asyncio.to_thread(load, services.config.root)
                await asyncio.to_thread(load_rules, services, loaded)
            except WatchroomError as error:
                services.reloads.problem = str(error)
                _LOG.error("reload refused, the old files stay in force: %s", error)
                return str(error)
            await self.apply(loaded)
            _LOG.info("files read again from %s", loaded.root)
            return ""

    async def apply(self, loaded: Loaded) -> None:
        """Put checked files in force."""
        services = self._services
        services.config = loaded
        services.access.allow(loaded.monitor_url)
        services.oncall.contacts = loaded.contacts
        services.itself.apply(loaded.prometheus)
        for engine in services.engines.values():
            engine.set_subquery_step(loaded.evaluation_seconds)
        await services.notifier.reload(loaded.alertmanager, loaded.root)
        await self._jobs.apply(loaded)
        await self._evaluator.apply()
        services.reloads.problem = ""
        services.reloads.good_at = services.now()


def load_rules(services: Services, loaded: Loaded) -> None:
    """Give the rule files to the rules, alerts that stay with them.

    Raises:
        ConfigError: A template does not parse; nothing has changed.
    """
    services.rules.load(
        loaded.rules,
        at_ms=round(services.now() * 1000),
        interval_seconds=loaded.evaluation_seconds,
        external_labels=loaded.external_labels,
    )
