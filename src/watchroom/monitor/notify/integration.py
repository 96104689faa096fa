"""The interface of an integration: how the notifier reaches one receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import aiohttp

    from watchroom.monitor.dispatch.notification import Notification

Links = tuple[tuple[str, str], ...]
"""Text and URL of a message's links, besides its alerts' own links."""


class Attempt(NamedTuple):
    """How one attempt went.

    Attributes:
        accepted: The receiver took it: 2xx, or the mail server's 250.
        retry: Trying again may help: 429, 5xx, or a network error.
        http_status: The status of the HTTP response, if there was one.
        error: Why it was not accepted; never holds the URL's path or a token.
        latency_ms: How long it took.
        retry_after: Seconds that the receiver asked to wait.
        unsure: No response came, so the receiver may have taken it.
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
        session: Sends HTTP requests.
        secret: Reads a secret's file, named as in the configuration.
        timeout: Seconds for one attempt.
    """

    session: aiohttp.ClientSession
    secret: Callable[[str], Awaitable[str]]
    timeout: float


class SendResult(NamedTuple):
    """The destination of an attempt, without its secrets, and the outcome."""

    destination: str
    attempt: Attempt


class Integration(Protocol):
    """One entry of a receiver's configuration that sends notifications.

    Attributes:
        send_resolved: Whether it is notified of resolved alerts.
        destination: Where it sends to, without what is read from secret files.
    """

    send_resolved: bool
    destination: str

    def compose(
        self, notification: Notification, external_url: str, links: Links
    ) -> str:
        """Return the body to send, without secrets, as the ledger stores it."""

    async def send(self, body: str, wire: Wire) -> SendResult:
        """Try once; raises OSError only for a secret that cannot be read."""
