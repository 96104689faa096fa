"""Alertmanager's webhook: the body of version 4, and one attempt to deliver it."""

from __future__ import annotations

import email.utils
import json
import math
import time
from typing import TYPE_CHECKING

import aiohttp

from watchroom.formats.gotext import quote_meta
from watchroom.messages.network import reason
from watchroom.messages.scrub import origin, scrubbed
from watchroom.messages.webhook import WebhookAlert, payload
from watchroom.monitor.notify.integration import Attempt, Links, SendResult, Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.formats.receivers import WebhookConfig
    from watchroom.monitor.dispatch.notification import Notification

LONGEST_WAIT = 300.0
"""Seconds that a receiver may ask for before it is tried again."""

_TOO_MANY = 429
_MOST_QUOTED = 500
_UNSAFE = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def body(notification: Notification, external_url: str, max_alerts: int = 0) -> str:
    """Return the JSON that Alertmanager would post, byte for byte.

    Args:
        notification: What to send.
        external_url: The monitor's URL, for the receiver.
        max_alerts: The most alerts to list; 0 is all. The rest are counted.
    """
    alerts = list(notification.alerts)
    listed = alerts[:max_alerts] if max_alerts else alerts
    message = payload(
        [
            WebhookAlert(
                *(alert.labels, alert.annotations),
                *(alert.starts_at_ms, alert.ends_at_ms),
                *(alert.generator_url, alert.fingerprint),
            )
            for alert in listed
        ],
        receiver=quote_meta(notification.key.receiver),
        group_labels=notification.group_labels,
        group_key=notification.key.group_key,
        external_url=external_url,
        truncated=len(alerts) - len(listed),
    )
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    for unsafe, escaped in _UNSAFE.items():
        text = text.replace(unsafe, escaped)
    return text + "\n"


class Webhook:
    """One entry of ``webhook_configs``."""

    def __init__(self, config: WebhookConfig) -> None:
        self.send_resolved = config.send_resolved
        self.destination = redacted(config.url) if config.url else ""
        self._config = config

    def compose(
        self, notification: Notification, external_url: str, links: Links
    ) -> str:
        """Return Alertmanager's body, to which nothing is added."""
        del links
        return body(notification, external_url, self._config.max_alerts)

    async def send(self, body: str, wire: Wire) -> SendResult:
        """Post it once."""
        config = self._config
        url = config.url or await wire.secret(config.url_file)
        token = None
        if config.http_config is not None and config.http_config.authorization:
            file = config.http_config.authorization.credentials_file
            token = await wire.secret(file)
        attempt = await post(
            wire.session, url, body, token=token, timeout_seconds=wire.timeout
        )
        return SendResult(redacted(url), attempt)


def redacted(url: str) -> str:
    """Return ``scheme://host/…``: a webhook's path is its password."""
    try:
        shown = origin(url)
    except ValueError:
        return "a URL that does not parse"
    return "a URL without scheme or host" if "?" in shown else f"{shown}/…"


def _retry_after(header: str | None, now: float) -> float:
    """Return the seconds in a Retry-After header, at most five minutes."""
    if not header:
        return 0.0
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(header)
        except ValueError:
            return 0.0
        seconds = moment.timestamp() - now
    # float() accepts NaN, which isn't a time to wait.
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else 0.0


async def post(
    session: aiohttp.ClientSession,
    url: str,
    text: str,
    *,
    token: str | None = None,
    timeout_seconds: float = 10.0,
    quoted: Sequence[str] | None = None,
) -> Attempt:
    """Post `text` once and return the outcome; never raises for what the peer does.

    Args:
        session: Sends the request.
        url: The receiver's URL.
        text: JSON.
        token: A bearer token.
        timeout_seconds: For the whole request.
        quoted: Quote the body of an error response, without these secrets.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "watchroom"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    started = time.monotonic()

    def spent() -> float:
        return (time.monotonic() - started) * 1000

    try:
        async with session.post(
            url,
            data=text.encode(),
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        ) as answer:
            status = answer.status
            wait = _retry_after(answer.headers.get("Retry-After"), time.time())
            quote = ""
            if quoted is not None and status >= 400:
                raw = await answer.content.read(_MOST_QUOTED)
                quote = f": {scrubbed(raw.decode(errors='replace'), quoted)}"
    except (aiohttp.InvalidURL, ValueError):
        return Attempt(False, False, None, "not a valid URL", spent())
    except TimeoutError:
        why = f"no answer within {timeout_seconds:g} s"
        return Attempt(False, True, None, why, spent(), unsure=True)
    except (aiohttp.ClientError, OSError) as error:
        unsure = isinstance(error, aiohttp.ServerDisconnectedError)
        return Attempt(False, True, None, reason(error), spent(), unsure=unsure)
    if 200 <= status < 300:
        return Attempt(True, False, status, "", spent())
    retry = status == _TOO_MANY or status >= 500
    return Attempt(False, retry, status, f"answered {status}{quote}", spent(), wait)
