"""The delivery ledger: every page's intent before it is sent, its outcome after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from watchroom.monitor.dispatch import DeliveryKey, Told
    from watchroom.monitor.state import StateDB


class Entry(NamedTuple):
    """One delivery as the ledger keeps it.

    Attributes:
        id: Ascending.
        key: To whom and about which group.
        status: What the message says.
        destination: ``scheme://host/…``, never the whole URL; empty until read.
        state: open (being tried), sent (accepted with 2xx), failed (refused for good),
            superseded (newer content replaced it), dropped (its receiver is gone, or
            it stopped being true before anybody accepted it).
        alerts: How many alerts it carries.
        alertnames: Their names, at most 20, sorted.
        created_ms: When the intent was committed.
        attempts: How often it was tried.
        next_attempt_ms: When it is tried next, while open.
        http_status: The last answer, if there was one.
        error: Why it is not sent, without secrets.
        latency_ms: How long the last attempt took.
        finished_ms: When it left the state open.
    """

    id: int
    key: DeliveryKey
    status: Literal["firing", "resolved"]
    destination: str
    state: Literal["open", "sent", "failed", "superseded", "dropped"]
    alerts: int
    alertnames: tuple[str, ...]
    created_ms: int
    attempts: int
    next_attempt_ms: int | None
    http_status: int | None
    error: str
    latency_ms: float | None
    finished_ms: int | None


class Ledger:
    """Deliveries in state.db. Reading methods may be called from any thread."""

    def __init__(self, state: StateDB) -> None:
        raise NotImplementedError

    def told(self) -> dict[DeliveryKey, Told]:
        """Return what every receiver accepted last."""
        raise NotImplementedError

    def open(self) -> dict[DeliveryKey, Told]:
        """Return what is being delivered, for `Dispatcher` at start."""
        raise NotImplementedError

    def recent(self, limit: int = 100) -> list[Entry]:
        """Return the last deliveries, newest first."""
        raise NotImplementedError
