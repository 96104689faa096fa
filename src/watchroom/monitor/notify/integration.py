"""One way of telling a receiver: what the notifier asks of each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp

    from watchroom.monitor.dispatch.notification import Notification

Links = tuple[tuple[str, str], ...]
"""Text and address of what a message leads to beside its alerts' own links."""


class Attempt(NamedTuple):
    """How one attempt went.

    Attributes:
        accepted: The receiver took it: 2xx, or the mail server's 250.
        retry: Trying again may help: 429, 5xx, and whatever the network did.
        http_status: The answer, if there was one and it was HTTP's.
        error: Why it was not accepted; never holds the URL's path or a token.
        latency_ms: How long it took.
        retry_after: Seconds that the receiver asked to be left alone.
        unsure: It may have been taken all the same: no answer came.
    """

    accepted: bool
    retry: bool
    http_status: int | None
    error: str
    latency_ms: float
    retry_after: float = 0.0
    unsure: bool = False


class Wire(NamedTuple):
    """What an integration sends with.

    Attributes:
        session: For HTTP.
        secret: Reads a secret's file, named as in the configuration.
        timeout: Seconds for one attempt.
    """

    session: aiohttp.ClientSession
    secret: Callable[[str], Awaitable[str]]
    timeout: float


class SendResult(NamedTuple):
    """Where an attempt went, without its secrets, and how that was."""

    destination: str
    attempt: Attempt


class Integration(Protocol):
    """One way of telling a receiver.

    Attributes:
        send_resolved: Whether it wants to hear of ends.
        destination: Where it sends to, as far as no secret has to be read for that.
    """

    send_resolved: bool
    destination: str

    def compose(
        self, notification: Notification, external_url: str, links: Links
    ) -> str:
        """Return what to send, without secrets: the ledger keeps it till then."""

    async def send(self, body: str, wire: Wire) -> SendResult:
        """Try once; raises OSError only for a secret that cannot be read."""
