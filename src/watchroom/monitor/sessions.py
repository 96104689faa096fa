"""Logins: sealed cookies, tokens of forms, one-time links, limited attempts."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SESSION_SECONDS = 7 * 86400
LINK_SECONDS = 600
_MOST_LINKS = 20
_MOST_ENDED = 1000
# Twelve digits last for 29,000 years; int() refuses a cookie full of them.
_COOKIE = re.compile(r"([0-9]{1,12})\.([0-9a-f]{16})\.([0-9a-f]{64})")


class Sessions:
    """What proves a login without the token itself.

    Nothing of it is stored: a cookie is sealed with the token, so a new token ends
    every session. One-time links and ended sessions live in memory, bounded.

    Args:
        token: The monitor's token.
        now: Epoch seconds.
    """

    def __init__(self, token: bytes, now: Callable[[], float] = time.time) -> None:
        self._token = token
        self._now = now
        self._links: OrderedDict[bytes, float] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def _seal(self, kind: str, text: str) -> str:
        sealed = f"{kind}\0{text}".encode("utf-8", "surrogateescape")
        return hmac.new(self._token, sealed, hashlib.sha256).hexdigest()

    def begin(self) -> str:
        """Return the cookie of a new session."""
        until, nonce = int(self._now()) + SESSION_SECONDS, secrets.token_hex(8)
        return f"{until}.{nonce}.{self._seal('session', f'{until}.{nonce}')}"

    def holds(self, cookie: str) -> bool:
        """Return whether a cookie is one of ours that has not ended."""
        found = _COOKIE.fullmatch(cookie)
        if found is None or int(found[1]) < self._now() or found[2] in self._ended:
            return False
        wanted = self._seal("session", f"{found[1]}.{found[2]}")
        return hmac.compare_digest(found[3], wanted)

    def end(self, cookie: str) -> None:
        """Let a cookie that holds be worth nothing from now on."""
        if self.holds(cookie):
            self._ended[cookie.split(".")[1]] = None
            while len(self._ended) > _MOST_ENDED:
                self._ended.popitem(last=False)

    def form_token(self, cookie: str) -> str:
        """Return what a form of this session must carry; "" is this machine's own."""
        return self._seal("form", cookie if self.holds(cookie) else "")

    def is_form_token(self, cookie: str, given: str) -> bool:
        """Return whether a form came from a page of this session."""
        return hmac.compare_digest(
            given.encode("utf-8", "surrogateescape"), self.form_token(cookie).encode()
        )

    def offer(self) -> str:
        """Return the code of a new one-time link; only its hash is kept."""
        code = secrets.token_urlsafe(24)
        self._links[_hash(code)] = self._now() + LINK_SECONDS
        while len(self._links) > _MOST_LINKS:
            self._links.popitem(last=False)
        return code

    def is_offered(self, code: str) -> bool:
        """Return whether a link would still log in; asking does not use it up."""
        return self._links.get(_hash(code), 0.0) >= self._now()

    def take(self, code: str) -> str | None:
        """Return a cookie for a link's code, once, or None."""
        until = self._links.pop(_hash(code), 0.0)
        return self.begin() if until >= self._now() else None


class Attempts:
    """Counts wrong credentials by who gave them, and says when it is enough.

    Args:
        most: Wrong ones by one sender within `seconds`.
        seconds: How long one counts.
        senders: How many senders are remembered.
        now: Seconds that only grow.
    """

    def __init__(
        self,
        most: int = 10,
        seconds: float = 60.0,
        senders: int = 1000,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most = most
        self._seconds = seconds
        self._senders = senders
        self._now = now
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, sender: str) -> int:
        """Return for how many seconds nothing more is tried for `sender`; mostly 0."""
        times = self._wrong.get(sender)
        if times is None or len(times) < self._most:
            return 0
        return max(0, int(times[0] + self._seconds - self._now()) + 1)

    def wrong(self, sender: str) -> None:
        """Note a wrong credential."""
        times = self._wrong.setdefault(sender, deque(maxlen=self._most))
        now = self._now()
        while times and now - times[0] >= self._seconds:
            times.popleft()
        times.append(now)
        self._wrong.move_to_end(sender)
        while len(self._wrong) > self._senders:
            self._wrong.popitem(last=False)


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogateescape")).digest()
