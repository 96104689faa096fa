"""Sending: the only part of the alerting half that touches the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import aiohttp

    from watchroom.monitor.alerts import Alert
    from watchroom.monitor.dispatch import Dispatcher
    from watchroom.monitor.ledger import Ledger


class Notifier:
    """Turns what the dispatcher wants said into deliveries that somebody accepted.

    Args:
        config: A `formats.alertmanager` configuration.
        config_dir: What `url_file` and `credentials_file` are relative to.
        dispatcher: Decides.
        ledger: Remembers.
        session: Sends; its lifetime is the caller's.
        external_url: What payloads name as externalURL.
        now: Seconds since the epoch.
    """

    def __init__(
        self,
        config: Any,
        *,
        config_dir: Path,
        dispatcher: Dispatcher,
        ledger: Ledger,
        session: aiohttp.ClientSession,
        external_url: str,
        now: Callable[[], float],
    ) -> None:
        raise NotImplementedError

    async def run(self) -> None:
        """Deliver until cancelled: a task of the event loop."""
        raise NotImplementedError

    def submit(self, alerts: Sequence[Alert]) -> None:
        """Hand alerts to the dispatcher and wake the loop: from any thread."""
        raise NotImplementedError

    async def reload(self, config: Any, config_dir: Path) -> None:
        """Take a new configuration; pages under way to receivers that stay go on."""
        raise NotImplementedError

    def stats(self) -> dict[tuple[str, str], float]:
        """Return ``(receiver, outcome)`` → count; outcomes sent, failed, retried,
        superseded, dropped; plus ``("", "queue")``, the deliveries now open.
        """
        raise NotImplementedError
