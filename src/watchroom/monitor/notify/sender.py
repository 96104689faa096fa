"""One attempt at one message: by which integration, with which secrets, how long."""

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
    """Tries a message once, within a time, whatever its receiver or a disk does.

    Args:
        session: Sends; its lifetime is the caller's.
        pace: How long one attempt may take, and how many may be under way.
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
        """Take every way of telling, and what the secrets' files are relative to."""
        self._integrations, self._config_dir = integrations, config_dir

    def names(self) -> list[tuple[str, str]]:
        """Return ``(receiver, integration)`` of every way of telling."""
        found = self._integrations.items()
        return [(receiver, name) for receiver, ways in found for name in ways]

    def integration(self, key: DeliveryKey) -> Integration | None:
        """Return what leads to a conversation's receiver; None when it is gone."""
        return self._integrations.get(key.receiver, {}).get(key.integration)

    def slot(self, key: DeliveryKey) -> asyncio.Semaphore:
        """Return what an attempt of a delivery has to hold while it is under way."""
        return self._slots[key[:2]]

    async def attempt(self, key: DeliveryKey, body: str) -> SendResult:
        """Return where it went and how that went."""
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
        except Exception as error:  # noqa: BLE001 - a bug in one send loses no page
            _LOG.exception("sending to %s failed inside the monitor", where)
            why = f"failed inside the monitor: {type(error).__name__}"
            return SendResult(where, Attempt(False, True, None, why, 0.0))

    async def _secret(self, name: str) -> str:
        """Return a secret file's text; read at every send, so it can be renewed."""
        path = self._config_dir / name
        reading = self._reads.get(path)
        if reading is None:
            # One thread a file, however many wait for it: a mount that hangs keeps it.
            reading = asyncio.create_task(asyncio.to_thread(path.read_text))
            self._reads[path] = reading
            reading.add_done_callback(lambda _: self._reads.pop(path))
        try:
            async with asyncio.timeout(self._wire.timeout):
                return (await asyncio.shield(reading)).strip()
        except TimeoutError:
            why = f"not read within {self._wire.timeout:g} s"
            raise TimeoutError(errno.ETIMEDOUT, why, str(path)) from None
