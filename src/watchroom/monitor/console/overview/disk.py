"""What the overview shows from files and state.db, even if the disk hangs."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import StoreError
from watchroom.monitor.console import runbooks
from watchroom.monitor.console.checklist import DrillRun, last_run
from watchroom.monitor.console.overview.readings import HISTORY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.monitor.notify.ledger import LedgerEntry
    from watchroom.monitor.oncall.incident import Event
    from watchroom.monitor.services import Services

_PATIENCE_SECONDS = 2.0
_LEDGER_ENTRIES = 60
_MOST_ACTS = 60
_OLD = "this page shows older notifications, drills and incident actions"


class OnDisk(NamedTuple):
    """What was read.

    Attributes:
        entries: The ledger's last deliveries, newest first.
        runbooks: Names of the existing runbooks.
        drilled: When every rule was last drilled.
        acts: (incident, what a person did to it), newest first.
        problem: Why this is an earlier state; "" when it is current.
    """

    entries: Sequence[LedgerEntry] = ()
    runbooks: frozenset[str] = frozenset()
    drilled: DrillRun | None = None
    acts: Sequence[tuple[int, Event]] = ()
    problem: str = ""


class Disk:
    """Reads in a thread that no query needs, one at a time however many look."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._reading: asyncio.Future[OnDisk] | None = None
        self._last = OnDisk()

    async def read(self) -> OnDisk:
        """Return what is on disk, or was when the disk last responded."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(asyncio.to_thread(self._read))
        done, _ = await asyncio.wait([self._reading], timeout=_PATIENCE_SECONDS)
        if not done:
            return self._last._replace(problem=f"the disk isn't responding: {_OLD}")
        try:
            self._last = self._reading.result()
        except (OSError, sqlite3.Error, StoreError) as error:
            return self._last._replace(problem=f"{error}: {_OLD}")
        return self._last

    def _read(self) -> OnDisk:
        services, now = self._services, self._services.now()
        since_ms = round((now - HISTORY_SECONDS) * 1000)
        return OnDisk(
            services.ledger.recent(_LEDGER_ENTRIES),
            runbooks.names(services.config.root),
            last_run(services.proofs.all(), now),
            services.oncall.records.recent_events(since_ms, _MOST_ACTS),
        )
