"""Silences: which alerts notify nobody, until when, by Alertmanager's rules."""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from watchroom.errors import WatchroomError
from watchroom.promql.model import Matcher, matches_all

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from watchroom.monitor.state.database import StateDB
    from watchroom.promql.model import Labels

MOST = 1000
"""The most silences that are active or pending at once."""

KEPT_EXPIRED = 1000
"""Expired silences that are kept to be looked up."""

KEPT_MS = 120 * 3_600_000
"""How long an expired silence is kept: Alertmanager's five days."""

_REMEMBERED = 20_000

State = Literal["active", "pending", "expired"]


class SilenceError(WatchroomError):
    """A silence cannot be as asked.

    Attributes:
        missing: No silence has that id.
    """

    def __init__(self, reason: str, *, missing: bool = False) -> None:
        super().__init__(reason)
        self.missing = missing


class Silence(NamedTuple):
    """Alerts that meet all `matchers` notify nobody from its start to its end.

    Attributes:
        id: A UUID; empty to get a new one.
        matchers: At least one, and one of them does not take the empty value.
        starts_ms: First moment.
        ends_ms: First moment after it.
        updated_ms: When it was last changed.
        created_by: The author.
        comment: Why.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_ms: int
    ends_ms: int
    updated_ms: int
    created_by: str
    comment: str

    def state(self, now_ms: int) -> State:
        """Return what it is at a moment."""
        if now_ms < self.starts_ms:
            return "pending"
        return "expired" if now_ms > self.ends_ms else "active"


class Silences:
    """All silences, in memory and in state.db.

    `put` and `expire` wait for the disk, so an event loop calls them in a thread;
    `muted_by` does not.

    Args:
        state: Where they are kept; None keeps them in memory only.
    """

    def __init__(self, state: StateDB | None = None) -> None:
        self._state = state
        self._changing = threading.Lock()  # one change at a time, its fsync included
        self._lock = threading.Lock()  # the active ones; never held over the disk
        self._all: dict[str, Silence] = {}
        self._version = 0
        self._matching: dict[Labels, tuple[int, tuple[str, ...]]] = {}
        self.refused = 0
        if state is not None:
            rows = state.read(
                "SELECT id, matchers, starts_ms, ends_ms, updated_ms, created_by, "
                "comment FROM silence"
            )
            for row in rows:
                matchers = tuple(Matcher(*each) for each in json.loads(row[1]))
                self._all[row[0]] = Silence(row[0], matchers, *row[2:])

    def put(self, requested: Silence, now_ms: int) -> str:
        """Make or change a silence; return its id once that is on disk.

        An active one can have its end moved; any other change expires it and
        makes a new one, as in Alertmanager.

        Raises:
            SilenceError: It is not one, its id is unknown, or there are too many.
            StoreError: The disk refused.
        """
        with self._changing:
            _check(requested, now_ms)
            before = self._all.get(requested.id)
            if requested.id and before is None:
                raise SilenceError(f"silence {requested.id} not found", missing=True)
            changed = []
            if before is not None and _extends(before, requested, now_ms):
                silence = requested._replace(updated_ms=now_ms)
            else:
                if before is not None and before.state(now_ms) != "expired":
                    changed.append(_ended(before, now_ms))
                self._make_room(now_ms, ending=len(changed))
                silence = requested._replace(
                    id=str(uuid.uuid4()),
                    starts_ms=max(requested.starts_ms, now_ms),
                    updated_ms=now_ms,
                )
            self._keep([*changed, silence], now_ms)
            return silence.id

    def expire(self, name: str, now_ms: int) -> None:
        """End a silence now, once that is on disk; one that has ended stays so.

        Raises:
            SilenceError: No silence has that id.
            StoreError: The disk refused.
        """
        with self._changing:
            silence = self._all.get(name)
            if silence is None:
                raise SilenceError(f"silence {name} not found", missing=True)
            if silence.state(now_ms) != "expired":
                self._keep([_ended(silence, now_ms)], now_ms)

    def _make_room(self, now_ms: int, *, ending: int) -> None:
        alive = sum(
            silence.state(now_ms) != "expired" for silence in self._all.values()
        )
        if alive - ending >= MOST:
            self.refused += 1
            raise SilenceError(f"there are {alive} silences already; expire some")

    def _keep(self, changed: Sequence[Silence], now_ms: int) -> None:
        """Put silences on disk, then activate them; forget those long ended."""
        expired = [
            silence
            for silence in self._all.values()
            if silence.state(now_ms) == "expired"
        ]
        expired.sort(key=lambda silence: silence.ends_ms, reverse=True)
        forgotten = [
            silence.id
            for index, silence in enumerate(expired)
            if index >= KEPT_EXPIRED or silence.ends_ms < now_ms - KEPT_MS
        ]
        if self._state is not None:

            def change(db: sqlite3.Connection) -> None:
                db.executemany(
                    "INSERT OR REPLACE INTO silence VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (silence.id, json.dumps(silence.matchers), *silence[2:])
                        for silence in changed
                    ],
                )
                db.executemany(
                    "DELETE FROM silence WHERE id = ?", [(name,) for name in forgotten]
                )

            self._state.commit(change)
        with self._lock:
            for name in forgotten:
                self._all.pop(name, None)
            self._all.update((silence.id, silence) for silence in changed)
            self._version += 1

    def get(self, name: str) -> Silence | None:
        """Return the silence of an id."""
        return self._all.get(name)

    def all(self, now_ms: int) -> list[Silence]:
        """Return them as Alertmanager lists them.

        Active ones by their end, those to come by their start, expired ones with the
        latest end first.
        """

        def order(silence: Silence) -> tuple[int, int]:
            match silence.state(now_ms):
                case "active":
                    return 0, silence.ends_ms
                case "pending":
                    return 1, silence.starts_ms
                case "expired":
                    return 2, -silence.ends_ms

        with self._lock:
            return sorted(self._all.values(), key=order)

    def muted_by(self, labels: Labels, now_ms: int) -> list[str]:
        """Return the ids of the active silences for an alert with `labels`, sorted.

        Which silences match is remembered per label set until any of them changes.
        """
        with self._lock:
            version, names = self._matching.get(labels, (-1, ()))
            if version != self._version:
                names = tuple(
                    silence.id
                    for silence in self._all.values()
                    if silence.state(now_ms) != "expired"
                    and matches_all(silence.matchers, labels)
                )
                if len(self._matching) >= _REMEMBERED:
                    self._matching.clear()
                self._matching[labels] = self._version, names
            matching = (self._all[name] for name in names if name in self._all)
            return sorted(
                silence.id for silence in matching if silence.state(now_ms) == "active"
            )

    def stats(self, now_ms: int) -> dict[str, int]:
        """Return how many there are in each state."""
        with self._lock:
            states = [silence.state(now_ms) for silence in self._all.values()]
        return {each: states.count(each) for each in get_args(State)}


def _check(requested: Silence, now_ms: int) -> None:
    if requested.starts_ms >= requested.ends_ms:
        raise SilenceError("start time must be before end time")
    if requested.ends_ms < now_ms:
        raise SilenceError("end time can't be in the past")
    if all(matcher.matches("") for matcher in requested.matchers):
        raise SilenceError("at least one matcher must not match the empty string")


def _extends(before: Silence, requested: Silence, now_ms: int) -> bool:
    """Return whether a change leaves it the same silence."""
    if _normal(before.matchers) != _normal(requested.matchers):
        return False
    match before.state(now_ms):
        case "active":
            return (
                before.starts_ms // 1000 == requested.starts_ms // 1000
                and requested.ends_ms >= now_ms
            )
        case "pending":
            return requested.starts_ms >= now_ms
        case "expired":
            return False


def _normal(matchers: Iterable[Matcher]) -> list[Matcher]:
    return sorted(matchers)


def _ended(silence: Silence, now_ms: int) -> Silence:
    return silence._replace(
        starts_ms=min(silence.starts_ms, now_ms), ends_ms=now_ms, updated_ms=now_ms
    )
