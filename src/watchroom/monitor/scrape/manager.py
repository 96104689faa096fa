"""From the files' jobs to running scrapers: discovery in between."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from watchroom.errors import ConfigError
from watchroom.monitor.scrape.discovery import Discovery
from watchroom.monitor.scrape.target import Target, build

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import aiohttp

    from watchroom.formats.prometheus import ScrapeConfig
    from watchroom.monitor.scrape.loop import Scrapers
    from watchroom.monitor.scrape.target import Job, TargetGroup
    from watchroom.promql.model import Labels

_LOG = logging.getLogger(__name__)


class _Running:
    """One job with its discovery and what that has found."""

    def __init__(self, job: Job, entry: ScrapeConfig, discovery: Discovery) -> None:
        self.job = job
        self.entry = entry
        self.discovery = discovery
        self.groups: dict[str, Sequence[TargetGroup]] = {}
        self.targets: list[Target] = []
        self.dropped: list[Labels] = []


class Jobs:
    """All jobs of the loaded files."""

    def __init__(self, client: aiohttp.ClientSession, scrapers: Scrapers) -> None:
        self._client = client
        self._scrapers = scrapers
        self._running: dict[str, _Running] = {}

    async def apply(self, jobs: Iterable[tuple[Job, ScrapeConfig]], root: Path) -> None:
        """Run these jobs of the files below `root`; unchanged ones continue."""
        new_jobs = {job.name: (job, entry) for job, entry in jobs}
        ended = [
            running
            for name, running in self._running.items()
            if name not in new_jobs or new_jobs[name][1] != running.entry
        ]
        by_name: dict[str, _Running] = {}
        fresh: list[_Running] = []
        for name, (job, entry) in new_jobs.items():
            old = self._running.get(name)
            if old is not None and old not in ended:
                old.job = job  # global intervals may have changed
                by_name[name] = old
                self._build(old)
                continue
            by_name[name] = self._start(job, entry, root)
            if old is not None:  # until the new sources have answered
                by_name[name].groups = {
                    source: groups
                    for source, groups in old.groups.items()
                    if source != "static"
                }
            fresh.append(by_name[name])
        self._running = by_name
        for running in ended:
            await running.discovery.stop()
        for running in fresh:
            running.discovery.start()
            self._build(running)
        self._set()

    def _start(self, job: Job, entry: ScrapeConfig, root: Path) -> _Running:
        def on_groups(source: str, groups: Sequence[TargetGroup]) -> None:
            running.groups[source] = groups
            self._build(running)
            if self._running.get(job.name) is running:
                self._set()

        discovery = Discovery(entry, root, self._client, on_groups)
        running = _Running(job, entry, discovery)
        return running

    def _build(self, running: _Running) -> None:
        running.targets, running.dropped = [], []
        alone = [
            group._replace(targets=(address,))
            for groups in running.groups.values()
            for group in groups
            for address in group.targets
        ]
        for group in alone:  # one that cannot be scraped takes no other with it
            try:
                targets, dropped = build(running.job, group)
            except ConfigError as error:
                _LOG.warning("a discovered target is invalid: %s", error)
                continue
            running.targets += targets
            running.dropped += dropped

    def _set(self) -> None:
        """Scrape every target once, even if several jobs discover it: by its labels."""
        unique: dict[str, Target] = {}
        for running in self._running.values():
            for target in running.targets:
                unique.setdefault(target.key, target)
        self._scrapers.set(unique.values())

    def dropped(self) -> list[tuple[str, Labels]]:
        """Return what relabelling dropped: job and discovered labels."""
        return [
            (n, labels)
            for n, running in self._running.items()
            for labels in running.dropped
        ]

    def failures(self) -> dict[str, tuple[int, str]]:
        """Return per job how often its discovery failed, and how it last did."""
        return {
            name: (running.discovery.failures, running.discovery.last_error)
            for name, running in self._running.items()
        }

    async def stop(self) -> None:
        """End discovery and scraping."""
        await asyncio.gather(
            *(running.discovery.stop() for running in self._running.values())
        )
        self._running.clear()
        await self._scrapers.stop()
