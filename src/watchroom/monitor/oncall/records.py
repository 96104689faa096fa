"""Incidents and deployments in state.db: rows in, rows out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from watchroom.monitor.oncall.incident import Event, Incident

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence
    from concurrent.futures import Future

    from watchroom.monitor.state.database import StateDB

KEPT_INCIDENTS = 1000
"""Closed incidents that are kept; older ones are forgotten, and counted."""

KEPT_DEPLOYS = 1000
"""Deployments that are kept."""

_MOST_SENT = 2000


class Deploy(NamedTuple):
    """A release that went live.

    Attributes:
        author: Who reported it; empty when it was only seen on processes.
        seen_ms: When processes first reported it, if they did.
    """

    id: int
    at_ms: int
    version: str
    author: str
    seen_ms: int | None


class Sent(NamedTuple):
    """A notification about an incident, from the ledger."""

    receiver: str
    status: str
    state: str
    created_ms: int
    finished_ms: int | None
    attempts: int
    error: str


class Records:
    """Reads in the caller's thread; writes return a future, done once on disk."""

    def __init__(self, state: StateDB) -> None:
        self._state = state

    def last_incident(self) -> int:
        """Return the highest id there is, or 0."""
        return int(self._state.read("SELECT max(id) FROM incident")[0][0] or 0)

    def live(self, since_ms: int) -> list[Incident]:
        """Return open incidents, and those opened or resolved after `since_ms`."""
        rows = self._state.read(
            "SELECT body FROM incident WHERE state NOT IN ('resolved', 'reviewed') "
            "OR opened_ms >= ? "
            "OR json_extract(body, '$.resolved_ms') >= ? ORDER BY id",
            (since_ms, since_ms),
        )
        return [_incident(row[0]) for row in rows]

    def incidents(self, limit: int, before: int | None = None) -> list[Incident]:
        """Return incidents, newest first, below the id `before` if given."""
        rows = self._state.read(
            "SELECT body FROM incident WHERE id < ? ORDER BY id DESC LIMIT ?",
            (2**62 if before is None else before, limit),
        )
        return [_incident(row[0]) for row in rows]

    def incident(self, number: int) -> Incident | None:
        """Return one incident."""
        rows = self._state.read("SELECT body FROM incident WHERE id = ?", (number,))
        return _incident(rows[0][0]) if rows else None

    def events(self, number: int) -> list[Event]:
        """Return the timeline of one incident, oldest first."""
        rows = self._state.read(
            "SELECT at_ms, source, kind, text, author FROM incident_event "
            "WHERE incident = ? ORDER BY at_ms, id",
            (number,),
        )
        return [Event(*row) for row in rows]

    def recent_events(self, since_ms: int, limit: int) -> list[tuple[int, Event]]:
        """Return (incident, a person's entry) after `since_ms`, newest first."""
        rows = self._state.read(
            "SELECT incident, at_ms, source, kind, text, author FROM incident_event "
            "WHERE at_ms >= ? AND source = 'person' ORDER BY at_ms DESC LIMIT ?",
            (since_ms, limit),
        )
        return [(row[0], Event(*row[1:])) for row in rows]

    def sent(
        self, fingerprints: Collection[str], start_ms: int, end_ms: int
    ) -> list[Sent]:
        """Return the notifications about any of these alerts, newest first."""
        wanted = json.dumps(sorted(fingerprints))
        rows = self._state.read(
            "SELECT receiver, status, state, created_ms, finished_ms, attempts, error "
            "FROM delivery WHERE created_ms BETWEEN ? AND ? "
            "AND EXISTS (SELECT 1 FROM (SELECT value FROM json_each(firing) UNION ALL "
            "SELECT value FROM json_each(resolved)) "
            "WHERE value IN (SELECT value FROM json_each(?))) "
            "ORDER BY id DESC LIMIT ?",
            (start_ms, end_ms, wanted, _MOST_SENT),
        )
        return [Sent(*row) for row in rows]

    def save(self, incident: Incident, events: Sequence[Event]) -> Future[int]:
        """Write an incident and its new timeline entries.

        The future gives how many old incidents were deleted to make room.
        """
        body = msgspec.json.encode(incident).decode()

        def change(db: sqlite3.Connection) -> int:
            fresh = not db.execute(
                "SELECT 1 FROM incident WHERE id = ?", (incident.id,)
            ).fetchone()
            db.execute(
                "INSERT OR REPLACE INTO incident VALUES (?, ?, ?, ?)",
                (incident.id, incident.state, incident.opened_ms, body),
            )
            db.executemany(
                "INSERT INTO incident_event "
                "(incident, at_ms, source, kind, text, author) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                [(incident.id, *event) for event in events],
            )
            return _forget(db) if fresh else 0

        return self._state.write(change)

    def deploys(self, start_ms: int, end_ms: int, limit: int) -> list[Deploy]:
        """Return the deployments in a time range, newest first."""
        rows = self._state.read(
            "SELECT id, at_ms, version, author, seen_ms FROM deploy "
            "WHERE at_ms >= ? AND at_ms <= ? ORDER BY at_ms DESC, id DESC LIMIT ?",
            (start_ms, end_ms, limit),
        )
        return [Deploy(*row) for row in rows]

    def releases(self) -> dict[str, int]:
        """Return the releases last seen running, and when."""
        rows = self._state.read("SELECT release, last_ms FROM release_seen")
        return dict(rows)

    def save_deploy(self, deploy: Deploy) -> Future[Deploy]:
        """Write a deployment; id 0 becomes the next id."""

        def change(db: sqlite3.Connection) -> Deploy:
            number = deploy.id
            if not number:
                row = db.execute("SELECT max(id) FROM deploy").fetchone()
                number = int(row[0] or 0) + 1
            saved = deploy._replace(id=number)
            db.execute("INSERT OR REPLACE INTO deploy VALUES (?, ?, ?, ?, ?)", saved)
            db.execute("DELETE FROM deploy WHERE id <= ?", (number - KEPT_DEPLOYS,))
            return saved

        return self._state.write(change)

    def save_releases(self, seen: dict[str, int]) -> Future[None]:
        """Write the releases last seen running."""

        def change(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM release_seen")
            db.executemany("INSERT INTO release_seen VALUES (?, ?)", seen.items())

        return self._state.write(change)


def _incident(text: str) -> Incident:
    return msgspec.json.decode(text, type=Incident)


def _forget(db: sqlite3.Connection) -> int:
    """Forget the oldest closed incidents over the bound; return how many."""
    rows = db.execute(
        "SELECT id FROM incident WHERE state IN ('resolved', 'reviewed') "
        "ORDER BY id DESC LIMIT -1 OFFSET ?",
        (KEPT_INCIDENTS,),
    ).fetchall()
    db.executemany("DELETE FROM incident WHERE id = ?", rows)
    db.executemany("DELETE FROM incident_event WHERE incident = ?", rows)
    return len(rows)
