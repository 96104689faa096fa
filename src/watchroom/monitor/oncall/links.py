"""Signed links in notifications, by which their reader acknowledges an incident.

The signature is an HMAC over incident, opening time and expiry with a key made from
the monitor's token, so a link proves that this monitor sent it and reveals nothing of
the token. Anyone with the link may acknowledge that incident and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import NamedTuple

LASTS_SECONDS = 3 * 86400
_NAME = re.compile(
    r"([1-9][0-9]{0,11})-([1-9][0-9]{0,14})-([1-9][0-9]{0,11})-([A-Za-z0-9_-]{22})"
)
_PURPOSE = b"watchroom: acknowledge by link, 2"


class AnswerLink(NamedTuple):
    """A link with a valid signature.

    Attributes:
        incident: Its number.
        opened_ms: When it was opened: a new state.db numbers from 1 again.
        expired: Whether it has expired.
    """

    incident: int
    opened_ms: int
    expired: bool


class Signer:
    """Makes and verifies links.

    Args:
        token: The monitor's token; a new one ends all links.
    """

    def __init__(self, token: str) -> None:
        self._key = hmac.new(token.encode(), _PURPOSE, hashlib.sha256).digest()

    def name(self, incident: int, opened_ms: int, now: float) -> str:
        """Return the last part of the link's path: incident, expiry, signature."""
        payload = f"{incident}-{opened_ms}-{int(now) + LASTS_SECONDS}"
        return f"{payload}-{self._seal(payload)}"

    def read(self, name: str, now: float) -> AnswerLink | None:
        """Return what a link's last part names; None if its signature is wrong."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        payload = name.removesuffix(f"-{match[4]}")
        if not hmac.compare_digest(match[4], self._seal(payload)):
            return None
        return AnswerLink(int(match[1]), int(match[2]), expired=int(match[3]) < now)

    def _seal(self, payload: str) -> str:
        digest = hmac.new(self._key, payload.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
