"""Logins: sealed cookies, tokens of forms, one-time links, limited attempts."""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOG = logging.getLogger(__name__)

SESSION_SECONDS = 7 * 86400
LINK_SECONDS = 600
_MOST_LINKS = 20
_MOST_ENDED = 1000
# Twelve digits last for 29,000 years; int() refuses a cookie full of them.
_COOKIE = re.compile(r"([0-9]{1,12})\.([0-9a-f]{16})\.([0-9a-f]{64})")


_ENDED = re.compile(r"([0-9]{1,12})\.([0-9a-f]{16}|\*)")


class Sessions:
    """What proves a login without the token itself.

    A cookie is sealed with the token, so a new token ends every session. One-time
    links live in memory, bounded.

    Args:
        token: The monitor's token.
        now: Epoch seconds.
        ended_path: The file that remembers ended sessions, so that a restart does not
            bring them back; None forgets them.
    """

    def __init__(
        self,
        token: bytes,
        now: Callable[[], float] = time.time,
        ended_path: Path | None = None,
    ) -> None:
        self._token = token
        self._now = now
        self._links: OrderedDict[bytes, float] = OrderedDict()
        self._ended = EndedSessions(ended_path, now)

    def _seal(self, kind: str, text: str) -> str:
        sealed = f"{kind}\0{text}".encode("utf-8", "surrogateescape")
        return hmac.new(self._token, sealed, hashlib.sha256).hexdigest()

    def begin(self) -> str:
        """Return the cookie of a new session."""
        until, nonce = int(self._now()) + SESSION_SECONDS, secrets.token_hex(8)
        return f"{until}.{nonce}.{self._seal('session', f'{until}.{nonce}')}"

    def holds(self, cookie: str) -> bool:
        """Return whether a cookie is a session of ours that has not ended."""
        match = _COOKIE.fullmatch(cookie)
        if match is None or int(match[1]) < self._now():
            return False
        if self._ended.has(int(match[1]), match[2]):
            return False
        seal = self._seal("session", f"{match[1]}.{match[2]}")
        return hmac.compare_digest(match[3], seal)

    def end(self, cookie: str) -> None:
        """Let a cookie that holds be worth nothing from now on; writes a file."""
        if self.holds(cookie):
            until, nonce, _ = cookie.split(".")
            self._ended.add(int(until), nonce)

    def form_token(self, cookie: str) -> str:
        """Return what a form of this session must carry, "" without a session."""
        return self._seal("form", cookie) if self.holds(cookie) else ""

    def is_form_token(self, cookie: str, candidate: str) -> bool:
        """Return whether a form came from a page of this session."""
        expected = self.form_token(cookie)
        return bool(expected) and hmac.compare_digest(
            candidate.encode("utf-8", "surrogateescape"), expected.encode()
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


class EndedSessions:
    """Sessions that were ended before their time, over restarts.

    Bounded: when there are too many, the older half is forgotten, and with it all
    sessions as old as they. So an ended one never holds again.

    Args:
        path: Where they are kept; None keeps them in memory.
        now: Epoch seconds.
    """

    def __init__(self, path: Path | None, now: Callable[[], float]) -> None:
        self._path = path
        self._now = now
        self._lock = threading.Lock()
        self._until: dict[str, int] = {}
        self._before = 0
        self._read()

    def has(self, until: int, nonce: str) -> bool:
        """Return whether the session of that end and nonce was ended."""
        return nonce in self._until or until <= self._before

    def add(self, until: int, nonce: str) -> None:
        """Note one, on disk too."""
        with self._lock:
            until_by_nonce = {n: u for n, u in self._until.items() if u >= self._now()}
            until_by_nonce[nonce] = until
            if len(until_by_nonce) > _MOST_ENDED:
                oldest = sorted(until_by_nonce, key=until_by_nonce.__getitem__)[
                    : len(until_by_nonce) // 2
                ]
                self._before = max(self._before, until_by_nonce[oldest[-1]])
                until_by_nonce = {
                    n: u for n, u in until_by_nonce.items() if u > self._before
                }
            self._until = until_by_nonce
            try:
                self._write()
            except OSError as error:
                _LOG.warning(
                    "a logout could not be saved (%s): after a restart that login is "
                    "valid again, until it expires after seven days",
                    error.strerror,
                )

    def _read(self) -> None:
        if self._path is None:
            return
        try:
            lines = self._path.read_bytes().decode("ascii", "replace").splitlines()
        except FileNotFoundError:
            return
        except OSError as error:
            lines = [str(error)]
        for line in lines:
            match = _ENDED.fullmatch(line)
            if match is None:
                # Who logged out is unknown now, so all sessions end.
                _LOG.warning("%s is damaged: everyone is logged out", self._path)
                self._until = {}
                self._before = int(self._now()) + SESSION_SECONDS - 1
                with suppress(OSError):
                    self._write()
                return
            if match[2] == "*":
                self._before = int(match[1])
            else:
                self._until[match[2]] = int(match[1])

    def _write(self) -> None:
        if self._path is None:
            return
        lines = [f"{self._before}.*", *(f"{u}.{n}" for n, u in self._until.items())]
        fresh = self._path.with_name(f"{self._path.name}.new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as out:
            out.write("".join(f"{line}\n" for line in lines))
            out.flush()
            os.fsync(handle)
        fresh.replace(self._path)


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogateescape")).digest()
