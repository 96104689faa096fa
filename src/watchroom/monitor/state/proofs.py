"""What was proven, and when: results that clients post, and the pages show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from watchroom.errors import ConfigError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from concurrent.futures import Future

    from watchroom.monitor.state.database import StateDB

KINDS = ("drill", "receiver", "wake", "item", "run", "sent")
STATES = ("passed", "failed", "unverifiable")
MOST_AT_ONCE = 1000
MOST_OF_A_KIND = 1000
_COLUMNS = (
    "kind, name, at_ms, state, detail, next_step, seconds, fingerprint, passed_ms"
)


class Proof(msgspec.Struct, frozen=True):
    """The last result of one thing, as `watchroom drill` and `check` found it.

    Attributes:
        kind: One of `KINDS`.
        name: Of the alert, the receiver, the contact, the item or the run.
        at: When, seconds since the epoch.
        state: One of `STATES`.
        detail: What was seen, or what was broken.
        more: What to do next, or empty.
        seconds: From the fault to the page, where there is such a time.
        of: Fingerprint of what was proven.
        passed_at: When it last passed.
    """

    kind: str
    name: str
    at: float
    state: str
    detail: str = ""
    more: str = ""
    seconds: float | None = None
    of: str = ""
    passed_at: float | None = None


class PostedProofs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a POST."""

    results: list[Proof]


class Proofs:
    """The last result of each thing, in state.db."""

    def __init__(self, state: StateDB) -> None:
        self._state = state

    def note(self, results: Sequence[Proof], now: float) -> Future[Any]:
        """Keep results; each replaces the last one of its thing.

        The oldest of a kind make room for new ones.

        Raises:
            ConfigError: One is of no known kind or state, or of the future.
        """
        for result in results:
            _check(result, now)
        rows = [_row(result) for result in results]
        kinds = sorted({result.kind for result in results})

        def change(db: sqlite3.Connection) -> None:
            db.executemany(
                f"INSERT INTO proof ({_COLUMNS})"  # noqa: S608 - our own constant
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (kind, name) DO UPDATE SET at_ms = excluded.at_ms,"
                " state = excluded.state, detail = excluded.detail,"
                " next_step = excluded.next_step, seconds = excluded.seconds,"
                " fingerprint = excluded.fingerprint,"
                " passed_ms = coalesce(excluded.passed_ms, passed_ms)",
                rows,
            )
            for kind in kinds:
                db.execute(
                    "DELETE FROM proof WHERE kind = ?1 AND name IN (SELECT name"
                    " FROM proof WHERE kind = ?1 ORDER BY at_ms DESC, name"
                    " LIMIT -1 OFFSET ?2)",
                    (kind, MOST_OF_A_KIND),
                )

        return self._state.write(change)

    def all(self) -> list[Proof]:
        """Return the last result of everything, by kind and name."""
        rows = self._state.read(
            "SELECT kind, name, at_ms / 1000.0, state, detail, next_step, seconds, "
            "fingerprint, passed_ms / 1000.0 FROM proof ORDER BY kind, name"
        )
        return [Proof(*row) for row in rows]


def _check(result: Proof, now: float) -> None:
    where = f"{result.kind[:20]} {result.name[:80]!r}"
    if result.kind not in KINDS:
        raise ConfigError(f"{where}: kind must be one of {', '.join(KINDS)}")
    if result.state not in STATES:
        raise ConfigError(f"{where}: state must be one of {', '.join(STATES)}")
    if not 0 < len(result.name) <= 200:
        raise ConfigError(f"{where}: a name has 1 to 200 characters")
    # A client whose clock runs ahead would look fresh for as long as that.
    if not 0 <= result.at <= now + 60:
        raise ConfigError(
            f"{where}: `at` is in the future, or not a time; check the clocks"
        )


def _row(result: Proof) -> tuple[Any, ...]:
    at_ms = round(result.at * 1000)
    return (
        result.kind,
        result.name,
        at_ms,
        result.state,
        result.detail[:2000],
        result.more[:2000],
        result.seconds,
        result.of[:64],
        at_ms if result.state == "passed" else None,
    )
