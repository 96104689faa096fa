"""The delivery ledger: each delivery is recorded before it is sent, and after."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from watchroom.monitor.dispatch.notification import (
    DeliveryKey,
    Notification,
    NotificationLogEntry,
)

if TYPE_CHECKING:
    import sqlite3
    from concurrent.futures import Future

    from watchroom.monitor.notify.integration import Attempt
    from watchroom.monitor.state.database import StateDB

KEPT = 10_000
"""Finished deliveries of a receiver that are kept; older ones are forgotten.

Of each receiver, or a heartbeat every minute would push out pages after a week.
"""

MOST = 10 * KEPT
"""Deliveries kept in all: receivers come and go."""

KEPT_ATTEMPTS = 100
"""Attempts of one delivery that are kept; `LedgerEntry.attempts` counts on."""

_LOG_KEPT_MS = 31 * 86_400_000
_NAMES = 20

State = Literal["open", "sent", "failed", "superseded", "dropped"]


class LedgerEntry(NamedTuple):
    """One delivery as the ledger keeps it.

    Attributes:
        id: Ascending.
        key: The receiver's integration and the group.
        status: Of the notification.
        destination: ``scheme://host/…``, never the whole URL; empty until read.
        state: open (being tried), sent (accepted with 2xx), failed (refused for good),
            superseded (newer content replaced it), dropped (its receiver was removed,
            or it was resolved or acknowledged before it was accepted).
        alerts: How many alerts it carries.
        alertnames: Their names, at most 20, sorted.
        created_ms: When it was recorded, before the first attempt.
        attempts: How often it was tried.
        next_attempt_ms: When it is tried next, while open.
        http_status: Of the last response, if there was one.
        error: Why it was not accepted, without secrets.
        latency_ms: How long the last attempt took.
        finished_ms: When it left the state open.
    """

    id: int
    key: DeliveryKey
    status: Literal["firing", "resolved"]
    destination: str
    state: State
    alerts: int
    alertnames: tuple[str, ...]
    created_ms: int
    attempts: int
    next_attempt_ms: int | None
    http_status: int | None
    error: str
    latency_ms: float | None
    finished_ms: int | None


class Pending(NamedTuple):
    """An open delivery: what the next process needs to continue it.

    Attributes:
        next_ms: When to try; a delivery never tried is due at once.
    """

    id: int
    notification: Notification
    body: str
    attempts: int
    next_ms: int
    created_ms: int


def _dumps(names: frozenset[str]) -> str:
    return json.dumps(sorted(names))


def _loads(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


class Ledger:
    """Deliveries in state.db.

    Reading methods block for a few milliseconds at most and may be called from any
    thread; writing ones return a future that is done when it is on disk.
    """

    def __init__(self, state: StateDB) -> None:
        self._state = state

    @property
    def refused(self) -> int:
        """Changes, of any part, for which state.db had no room."""
        return self._state.refused

    def notification_log(self) -> dict[DeliveryKey, NotificationLogEntry]:
        """Return what every receiver accepted last."""
        rows = self._state.read(
            "SELECT receiver, integration, group_key, firing, resolved, at_ms"
            " FROM notification_log"
        )
        return {
            DeliveryKey(*key): NotificationLogEntry(
                _loads(firing), _loads(resolved), at_ms
            )
            for *key, firing, resolved, at_ms in rows
        }

    def open_deliveries(self) -> dict[DeliveryKey, NotificationLogEntry]:
        """Return the open deliveries, for `Dispatcher` at start."""
        return {
            pending.notification.key: pending.notification.entry(pending.created_ms)
            for pending in self.pending()
        }

    def pending(self) -> list[Pending]:
        """Return the open deliveries, oldest first."""
        rows = self._state.read(
            "SELECT id, receiver, integration, group_key, status, firing, resolved, "
            "body, attempts, next_attempt_ms, created_ms FROM delivery "
            "WHERE state = 'open' ORDER BY id"
        )
        return [
            Pending(
                row[0],
                Notification(
                    DeliveryKey(*row[1:4]),
                    "send",
                    row[4],
                    (),
                    (),
                    _loads(row[5]),
                    _loads(row[6]),
                ),
                row[7],
                row[8],
                row[9] or row[10],
                row[10],
            )
            for row in rows
        ]

    def recent(self, limit: int = 100) -> list[LedgerEntry]:
        """Return the last deliveries, newest first."""
        rows = self._state.read(
            "SELECT id, receiver, integration, group_key, status, destination, state, "
            "alerts, alertnames, created_ms, attempts, next_attempt_ms, http_status, "
            "error, latency_ms, finished_ms FROM delivery ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [
            LedgerEntry._make(
                (
                    row[0],
                    DeliveryKey(*row[1:4]),
                    *row[4:8],
                    tuple(json.loads(row[8])),
                    *row[9:],
                )
            )
            for row in rows
        ]

    def by_receiver(self) -> list[dict[str, Any]]:
        """Return when each receiver last accepted and last refused, and why."""
        rows = self._state.read(
            "SELECT receiver, max(finished_ms) FILTER (WHERE state = 'sent'),"
            " max(coalesce(finished_ms, created_ms)) FILTER (WHERE error != '')"
            " FROM delivery GROUP BY receiver ORDER BY receiver"
        )
        errors = dict(
            self._state.read(
                "SELECT receiver, error FROM delivery WHERE id IN (SELECT max(id)"
                " FROM delivery GROUP BY receiver)"
            )
        )
        return [
            {
                "receiver": receiver,
                "accepted_at": None if sent is None else sent / 1000,
                "failed_at": None if failed is None else failed / 1000,
                "error": errors.get(receiver, ""),
            }
            for receiver, sent, failed in rows
        ]

    def intend(
        self, notification: Notification, body: str, destination: str, now_ms: int
    ) -> Future[int]:
        """Record a delivery to be sent, in place of the open one; gives its id."""
        names = {dict(a.labels).get("alertname", "") for a in notification.alerts}

        def change(db: sqlite3.Connection) -> int:
            _close(
                db,
                notification.key,
                "superseded",
                "replaced by a newer notification",
                now_ms,
            )
            cursor = db.execute(
                "INSERT INTO delivery (receiver, integration, group_key, status, "
                "firing, resolved, alertnames, alerts, body, destination, state, "
                "created_ms, next_attempt_ms) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?)",
                (
                    *notification.key,
                    notification.status,
                    _dumps(notification.firing),
                    _dumps(notification.resolved),
                    json.dumps(sorted(names)[:_NAMES]),
                    len(notification.alerts),
                    body,
                    destination,
                    now_ms,
                    now_ms,
                ),
            )
            number = int(cursor.lastrowid or 0)
            _prune(db, number, now_ms)
            return number

        return self._state.write(change)

    def outcome(
        self,
        delivery: int,
        notification: Notification,
        attempt: Attempt,
        *,
        number: int,
        at_ms: int,
        destination: str,
        next_ms: int | None,
    ) -> Future[None]:
        """Record the outcome of attempt `number`; without `next_ms` it was the last."""
        state: State = "sent" if attempt.accepted else "failed"
        last = next_ms is None

        def change(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT OR REPLACE INTO attempt VALUES (?, ?, ?, ?, ?, ?)",
                (
                    delivery,
                    number,
                    at_ms,
                    attempt.http_status,
                    attempt.error,
                    attempt.latency_ms,
                ),
            )
            db.execute(
                "DELETE FROM attempt WHERE delivery = ? AND number = ?",
                (delivery, number - KEPT_ATTEMPTS),
            )
            db.execute(
                "UPDATE delivery SET attempts = ? WHERE id = ?", (number, delivery)
            )
            # A delivery that was replaced while it was being sent keeps that reason,
            # unless it was accepted.
            db.execute(
                "UPDATE delivery SET http_status = ?, error = ?, latency_ms = ?, "
                "destination = ?, next_attempt_ms = ? "
                "WHERE id = ? AND (state = 'open' OR ?)",
                (
                    attempt.http_status,
                    attempt.error,
                    attempt.latency_ms,
                    destination,
                    next_ms,
                    delivery,
                    attempt.accepted,
                ),
            )
            if last:
                db.execute(
                    "UPDATE delivery SET state = ?, finished_ms = ?, body = '' "
                    "WHERE id = ? AND (state = 'open' OR ? = 'sent')",
                    (state, at_ms, delivery, state),
                )
            if attempt.accepted:
                _log(db, notification, at_ms)

        return self._state.write(change)

    def note(self, notification: Notification, now_ms: int) -> Future[None]:
        """Record that nothing is sent for this; the open delivery is dropped.

        A ``note`` is logged as accepted, a ``cancel`` is not.
        """
        reason = "resolved or acknowledged before the receiver accepted it"

        def change(db: sqlite3.Connection) -> None:
            _close(db, notification.key, "dropped", reason, now_ms)
            if notification.kind == "note":
                _log(db, notification, now_ms)

        return self._state.write(change)

    def log(self, notification: Notification, now_ms: int) -> Future[None]:
        """Log a notification as accepted."""
        return self._state.write(lambda db: _log(db, notification, now_ms))

    def drop(self, key: DeliveryKey, reason: str, now_ms: int) -> Future[None]:
        """Record that the open delivery of `key` will not be sent, and why."""

        def change(db: sqlite3.Connection) -> None:
            _close(db, key, "dropped", reason, now_ms)

        return self._state.write(change)


def _close(
    db: sqlite3.Connection, key: DeliveryKey, state: State, reason: str, now_ms: int
) -> None:
    db.execute(
        "UPDATE delivery SET state = ?, finished_ms = ?, next_attempt_ms = NULL, "
        "body = '', error = CASE WHEN error = '' THEN ? ELSE ? || '; ' || error END "
        "WHERE receiver = ? AND integration = ? AND group_key = ? AND state = 'open'",
        (state, now_ms, reason, reason, *key),
    )


def _log(db: sqlite3.Connection, notification: Notification, now_ms: int) -> None:
    row: tuple[Any, ...] = (
        *notification.key,
        _dumps(notification.firing),
        _dumps(notification.resolved),
        now_ms,
    )
    db.execute("INSERT OR REPLACE INTO notification_log VALUES (?, ?, ?, ?, ?, ?)", row)


def _prune(db: sqlite3.Connection, newest: int, now_ms: int) -> None:
    """Forget what is too old, a hundred deliveries at a time."""
    if newest % 100:
        return
    db.execute(
        "DELETE FROM delivery WHERE state <> 'open' AND (id <= ? OR id IN (SELECT id "
        "FROM (SELECT id, row_number() OVER (PARTITION BY receiver ORDER BY id DESC) "
        "AS nth FROM delivery) WHERE nth > ?))",
        (newest - MOST, KEPT),
    )
    db.execute("DELETE FROM attempt WHERE delivery NOT IN (SELECT id FROM delivery)")
    db.execute("DELETE FROM notification_log WHERE at_ms < ?", (now_ms - _LOG_KEPT_MS,))
