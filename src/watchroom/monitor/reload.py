"""Reading the files again: all of them first, then all of it or nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from watchroom.errors import WatchroomError
from watchroom.monitor.config import load

if TYPE_CHECKING:
    from watchroom.monitor.config import Loaded
    from watchroom.monitor.rules.loop import Evaluator
    from watchroom.monitor.scrape.manager import Jobs
    from watchroom.monitor.services import Services

_LOG = logging.getLogger(__name__)


class Reloader:
    """Activates a configuration, and keeps the old one if the new one is invalid."""

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
            old = services.config
            try:
                loaded = await asyncio.to_thread(load, old.root)
            except WatchroomError as error:
                return self._kept(str(error))
            except Exception as error:  # noqa: BLE001 - a file must not end the watch
                _LOG.exception("reading the configuration failed inside the monitor")
                return self._kept(f"internal error: {type(error).__name__}")
            try:
                await self.apply(loaded)
            except Exception as error:  # noqa: BLE001 - half a configuration must not stay
                _LOG.exception(
                    "applying the configuration failed; restoring the previous one"
                )
                await self._back(old)
                return self._kept(f"internal error: {type(error).__name__}: {error}")
            services.reloads.problem = ""
            services.reloads.good_at = services.now()
            _LOG.info("configuration reloaded from %s", loaded.root)
            return ""

    def _kept(self, problem: str) -> str:
        reloads = self._services.reloads
        reloads.problem = problem
        reloads.failures += 1
        _LOG.error(
            "reload refused, the previous configuration remains active: %s", problem
        )
        return problem

    async def apply(self, loaded: Loaded) -> None:
        """Activate checked files; what can't be undone comes last.

        Removed rules end their alerts, and removed receivers drop their deliveries:
        both only after the jobs took the new files.
        """
        await self._watch(loaded)
        services = self._services
        await asyncio.to_thread(load_rules, services, loaded)
        await self._evaluator.apply()
        await services.notifier.reload(loaded.alertmanager, loaded.root)
        await self._renew(loaded)
        services.in_force.loaded = loaded
        services.access.allow(loaded.monitor_url)
        services.oncall.use(loaded.contacts)

    async def begin(self, loaded: Loaded) -> None:
        """Start what runs on its own, at the start of the monitor."""
        await self._renew(loaded)
        await self._watch(loaded)
        await self._evaluator.apply()

    async def _watch(self, loaded: Loaded) -> None:
        """Scrape the targets of these files."""
        self._services.itself.apply(loaded.prometheus)
        await self._jobs.apply(loaded.jobs, loaded.root)

    async def _renew(self, loaded: Loaded) -> None:
        renew = self._services.manual.renew
        await asyncio.to_thread(renew, loaded.external_labels)

    async def _back(self, old: Loaded) -> None:
        try:
            await self.apply(old)
        except Exception:  # noqa: BLE001 - what could be taken back, was
            _LOG.exception("restoring the previous configuration partly failed")


def load_rules(services: Services, loaded: Loaded) -> None:
    """Give the rule files to the rules, and the step of ``[1h:]`` to the engines.

    Alerts stay with the rules.

    Raises:
        ConfigError: A template does not parse; nothing has changed.
    """
    services.rules.load(
        loaded.rules,
        at_ms=round(services.now() * 1000),
        interval_seconds=loaded.evaluation_seconds,
        external_labels=loaded.external_labels,
    )
    for engine in services.engines.values():
        engine.set_subquery_step(loaded.evaluation_seconds)
