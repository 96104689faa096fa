"""Acknowledgements forwarded to PagerDuty, which keeps incidents of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from msgspec.structs import replace

from watchroom.monitor.oncall.incident import Event

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from watchroom.monitor.notify.integration import Attempt
    from watchroom.monitor.oncall.incident import Incident
    from watchroom.monitor.oncall.incidents import Incidents

    Acknowledge = Callable[
        [Iterable[str], Collection[str]], Awaitable[list[tuple[str, Attempt]]]
    ]

_LONGEST_MS = 60_000


class AckForwarder:
    """Retries until each PagerDuty service accepts, or the incident is resolved.

    What was accepted is stored with the incident, so a new process continues.

    Args:
        incidents: The incidents.
        acknowledge: Acknowledges alerts at PagerDuty: `Notifier.acknowledge`.
        now_ms: Now.
    """

    def __init__(
        self, incidents: Incidents, acknowledge: Acknowledge, now_ms: Callable[[], int]
    ) -> None:
        self._incidents = incidents
        self._acknowledge = acknowledge
        self._now_ms = now_ms
        self._failed: dict[tuple[int, str], int] = {}  # how often
        self._after: dict[tuple[int, str], int] = {}

    async def forward(self) -> None:
        """Forward acknowledgements that were not accepted yet."""
        acknowledged = [
            incident
            for incident in self._incidents.open()
            if incident.acknowledged_ms is not None and incident.state != "firing"
        ]
        numbers = {incident.id for incident in acknowledged}
        self._failed = {k: n for k, n in self._failed.items() if k[0] in numbers}
        self._after = {k: at for k, at in self._after.items() if k[0] in numbers}
        # Together: a service that hangs delays no other incident.
        await asyncio.gather(*(self._forward(incident) for incident in acknowledged))

    async def _forward(self, incident: Incident) -> None:
        now = self._now_ms()
        later = [
            name
            for (number, name), at in self._after.items()
            if number == incident.id and 0 < at - now <= _LONGEST_MS
        ]
        for name, attempt in await self._acknowledge(
            incident.fingerprints, [*incident.informed_pagers, *later]
        ):
            self._settle(incident, name, attempt)

    def _settle(self, incident: Incident, name: str, attempt: Attempt) -> None:
        key, now = (incident.id, name), self._now_ms()
        receiver = name.partition("/")[0]
        if attempt.accepted or not attempt.retry:
            text = f"{receiver} accepted the acknowledgement"
            kind = "notified"
            if not attempt.accepted:
                kind = "refused"
                text = f"{receiver} refused the acknowledgement: {attempt.error}"
            event = Event(now, "notifier", kind, text)

            def step(known: Incident) -> tuple[Incident, Event]:
                return replace(
                    known, informed_pagers=[*known.informed_pagers, name]
                ), event

            self._incidents.update(incident.fingerprints, step)
            return
        times = self._failed[key] = self._failed.get(key, 0) + 1
        wait = max(1000 * 2 ** min(times, 10), round(attempt.retry_after * 1000))
        self._after[key] = now + min(wait, _LONGEST_MS)
        if times == 1:
            why = f"{receiver} hasn't accepted the acknowledgement yet: {attempt.error}"
            self._incidents.add(
                incident.fingerprints, Event(now, "notifier", "refused", why)
            )
