"""The link in a page that lets its reader answer: signed, for one incident, for a time.

The signature is an HMAC over incident, opening and expiry with a key made from the
monitor's token, so a link proves that this monitor sent it and shows nothing of the
token. Whoever has the link may answer that incident and nothing else.
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
    """A link whose signature holds.

    Attributes:
        incident: Its number.
        opened_ms: When it was opened: numbers begin again with a new state.db.
        expired: Whether it has expired.
    """

    incident: int
    opened_ms: int
    expired: bool


class Signer:
    """Makes and reads the names of links.

    Args:
        token: The monitor's token; a new one ends all links.
    """

    def __init__(self, token: str) -> None:
        self._key = hmac.new(token.encode(), _PURPOSE, hashlib.sha256).digest()

    def name(self, incident: int, opened_ms: int, now: float) -> str:
        """Return the last part of the link's path: incident, expiry, signature."""
        said = f"{incident}-{opened_ms}-{int(now) + LASTS_SECONDS}"
        return f"{said}-{self._seal(said)}"

    def read(self, name: str, now: float) -> AnswerLink | None:
        """Return what a link's last part stands for; None if we did not make it."""
        match = _NAME.fullmatch(name)
        if match is None:
            return None
        said = name.removesuffix(f"-{match[4]}")
        if not hmac.compare_digest(match[4], self._seal(said)):
            return None
        return AnswerLink(int(match[1]), int(match[2]), expired=int(match[3]) < now)

    def _seal(self, said: str) -> str:
        digest = hmac.new(self._key, said.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
