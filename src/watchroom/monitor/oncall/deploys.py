"""Which release was deployed when: reported by clients, or seen on processes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from watchroom.monitor.oncall.records import Deploy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from concurrent.futures import Future

    from watchroom.monitor.oncall.records import Records

EXPR = "group by (release) (watchroom_release_info)"
"""Returns a series per release that live processes report."""

_GONE_MS = 10 * 60_000
_SAME_MS = 60 * 60_000
_RECENT = 200
_FAR = 2**53


class Deploys:
    """Marks of deployments, the recent ones in memory.

    A release that processes report, and did not report lately, is a deployment, unless
    it is the first that this monitor sees. A release that a client announced (`record`)
    and that processes report later is the same deployment.

    Args:
        records: state.db.
        marked: Called with every new deployment.
    """

    def __init__(self, records: Records, marked: Callable[[Deploy], None]) -> None:
        self._records = records
        self._marked = marked
        self._lock = threading.Lock()
        self._recent = records.deploys(0, _FAR, _RECENT)  # newest first
        self._seen = records.releases()

    def record(self, version: str, author: str, now_ms: int) -> Future[Deploy]:
        """Record a deployment that a client reports."""
        with self._lock:
            seen = now_ms if version in self._seen else None
            deploy, written = self._mark(Deploy(0, now_ms, version, author, seen))
        self._marked(deploy)
        return written

    def observed(self, releases: Collection[str], now_ms: int) -> None:
        """Take the releases that live processes report now."""
        running = {name for name in releases if name}
        if not running:
            return  # nothing runs, or no data: not a deployment
        arrivals = []
        with self._lock:
            before = self._seen
            for version in sorted(running - before.keys()) if before else ():
                new = self._arrived(version, now_ms)
                arrivals += [] if new is None else [new]
            recent = {v: at for v, at in before.items() if now_ms - at <= _GONE_MS}
            self._seen = recent | dict.fromkeys(running, now_ms)
            if self._seen.keys() != before.keys():
                self._records.save_releases(self._seen)
        for deploy in arrivals:
            self._marked(deploy)

    def _arrived(self, version: str, now_ms: int) -> Deploy | None:
        """Return the deployment of a newly reported release, unless it is known."""
        for place, deploy in enumerate(self._recent):
            if deploy.version == version and now_ms - deploy.at_ms < _SAME_MS:
                if deploy.seen_ms is None:
                    self._recent[place] = deploy._replace(seen_ms=now_ms)
                    self._records.save_deploy(self._recent[place])
                return None
        return self._mark(Deploy(0, now_ms, version, "", now_ms))[0]

    def _mark(self, deploy: Deploy) -> tuple[Deploy, Future[Deploy]]:
        last = max((known.id for known in self._recent), default=0)
        marked = deploy._replace(id=last + 1)
        self._recent = [marked, *self._recent][:_RECENT]
        return marked, self._records.save_deploy(marked)

    def between(self, start_ms: int, end_ms: int) -> list[Deploy]:
        """Return recent deployments in a time range, newest first, from memory."""
        recent = self._recent  # no lock: `Incidents` calls this under its own
        return [deploy for deploy in recent if start_ms <= deploy.at_ms <= end_ms]

    def all(self, start_ms: int, end_ms: int, limit: int) -> list[Deploy]:
        """Return deployments in a time range, newest first, from the disk."""
        return self._records.deploys(start_ms, end_ms, limit)
