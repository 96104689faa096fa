"""One attempt to send one notification: its integration, secrets and time limit."""

from __future__ import annotations

import asyncio
import collections
import errno
import logging
from functools import partial
from typing import TYPE_CHECKING

from watchroom.monitor.notify.integration import Attempt, SendResult, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import aiohttp

    from watchroom.monitor.dispatch.notification import DeliveryKey
    from watchroom.monitor.notify.delivery import Pace
    from watchroom.monitor.notify.integration import Integration

    Integrations = Mapping[str, Mapping[str, Integration]]

_LOG = logging.getLogger(__name__)


class Sender:
    """Sends a notification once, within a time limit, whatever receiver or disk do.

    Args:
        session: Sends requests; the caller closes it.
        pace: How long one attempt may take, and how many may run at once.
    """

    def __init__(self, session: aiohttp.ClientSession, pace: Pace) -> None:
        self._wire = Wire(session, self._secret, pace.timeout)
        self._integrations: Integrations = {}
        # Each integration has its own: one that never answers delays no other.
        self._slots: collections.defaultdict[tuple[str, str], asyncio.Semaphore] = (
            collections.defaultdict(partial(asyncio.Semaphore, pace.at_once))
        )
        self._reads: dict[Path, asyncio.Task[str]] = {}

    def use(self, integrations: Integrations, config_dir: Path) -> None:
        """Take the integrations, and the directory of secret files."""
        self._integrations, self._config_dir = integrations, config_dir

    def names(self) -> list[tuple[str, str]]:
        """Return ``(receiver, integration)`` of every integration."""
        integrations = self._integrations.items()
        return [(receiver, name) for receiver, names in integrations for name in names]

    def integration(self, key: DeliveryKey) -> Integration | None:
        """Return the integration of a delivery; None when it was removed."""
        return self._integrations.get(key.receiver, {}).get(key.integration)

    def slot(self, key: DeliveryKey) -> asyncio.Semaphore:
        """Return the semaphore that an attempt of a delivery holds while it runs."""
        return self._slots[key[:2]]

    async def attempt(self, key: DeliveryKey, body: str) -> SendResult:
        """Return the destination and the outcome of one attempt."""
        integration = self.integration(key)
        if integration is None:
            return SendResult(
                "", Attempt(False, False, None, "the receiver was removed", 0.0)
            )
        where = integration.destination
        if not body:
            why = "the text could not be rendered; see the monitor's log"
            return SendResult(where, Attempt(False, False, None, why, 0.0))
        try:
            return await integration.send(body, self._wire)
        except (OSError, UnicodeError) as error:
            what = getattr(error, "strerror", None) or type(error).__name__
            name = getattr(error, "filename", "a secret") or "a secret"
            return SendResult(where, Attempt(False, True, None, f"{name}: {what}", 0.0))
        except Exception as error:  # noqa: BLE001 - a bug in one send must lose no page
            _LOG.exception("sending to %s failed inside the monitor", where)
            why = f"failed inside the monitor: {type(error).__name__}"
            return SendResult(where, Attempt(False, True, None, why, 0.0))

    async def _secret(self, name: str) -> str:
        """Return a secret file's text, read at every send so that it can be rotated."""
        path = self._config_dir / name
        reading = self._reads.get(path)
        if reading is None:
            # One thread per file, however many wait: a mount that hangs blocks it.
            reading = asyncio.create_task(asyncio.to_thread(path.read_text))
            self._reads[path] = reading
            reading.add_done_callback(lambda _: self._reads.pop(path))
        try:
            async with asyncio.timeout(self._wire.timeout):
                return (await asyncio.shield(reading)).strip()
        except TimeoutError:
            why = f"not read within {self._wire.timeout:g} s"
            raise TimeoutError(errno.ETIMEDOUT, why, str(path)) from None
