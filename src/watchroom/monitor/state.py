"""state.db: what must outlive the monitor's process, alert by alert, page by page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from concurrent.futures import Future
    from pathlib import Path
    from typing import Self


class StateDB:
    """The durable state of the monitor: SQLite, WAL, ``synchronous=FULL``.

    One thread of its own writes; whoever asks gets a future that is done when the
    transaction is on disk. Reading happens in the caller's thread. Every method may be
    called from any thread.
    """

    def __init__(self, directory: Path) -> None:
        """Open or create ``directory/state.db``.

        A corrupt file is moved aside to ``state.db.corrupt-<time>`` and named in
        `warnings`; the monitor then starts with no memory rather than not at all.

        Raises:
            StoreError: The file was written by a newer version of watchroom.
        """
        raise NotImplementedError

    warnings: list[str]

    def write(self, change: Callable[[sqlite3.Connection], Any]) -> Future[Any]:
        """Run `change` in the writer's next transaction; done = committed on disk."""
        raise NotImplementedError

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query, as of the last commit."""
        raise NotImplementedError

    def beat(self, at_ms: int) -> None:
        """Note that the monitor was watching at `at_ms` (no fsync: costs microseconds)."""
        raise NotImplementedError

    def last_beat_ms(self) -> int | None:
        """Return the last `beat` of any process that held this state directory."""
        raise NotImplementedError

    def close(self) -> None:
        """Commit what is queued and close."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        raise NotImplementedError

    def __exit__(self, *exc: object) -> None:
        raise NotImplementedError
