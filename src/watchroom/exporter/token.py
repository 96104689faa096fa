"""Where the exporter listens, and who may steer it."""

from __future__ import annotations

import hmac
import os
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.callers import LOCAL, PROXIED, Attempts, host_of, sender
from watchroom.errors import ConfigError
from watchroom.runtime import token as tokenfile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message
    from pathlib import Path

    from watchroom.listen import Listen

# A loopback socket is reached by this machine only. Steering still needs the token,
# since any user of it, and any page in a browser on it, can post.
STEERING = frozenset({"/drill/start", "/drill/recover", "/drill/stop"})


class Token:
    """The secret that starting a drill needs.

    It comes from WATCHROOM_TOKEN, from the file that WATCHROOM_TOKEN_FILE names, or
    from ``<runtime directory>/token``, which is made (mode 0600) when it is missing.

    Args:
        environ: The environment.
        runtime_dir: Where processes of this machine meet; None without one.

    Raises:
        ConfigError: The environment names a file that cannot be read or is empty.
    """

    def __init__(self, environ: Mapping[str, str], runtime_dir: Path | None) -> None:
        self.given = tokenfile.from_environment(environ)
        self._path = None if runtime_dir is None else runtime_dir / tokenfile.NAME
        self._own = ""

    def current(self) -> str:
        """Return the token; a file that went missing is written again.

        Raises:
            ConfigError: There is no token, and none can be written.
        """
        if self.given:
            return self.given
        if self._path is None:
            raise ConfigError(
                "no runtime directory to store a token in", hint="set WATCHROOM_TOKEN"
            )
        try:
            self._own = _read_or_make(self._path, self._own)
        except OSError as error:
            raise ConfigError(
                f"no token: {error.strerror}",
                file=self._path,
                hint="set WATCHROOM_TOKEN, or make the directory writable",
            ) from None
        return self._own

    def allows(self, authorization: str) -> bool:
        """Return whether an Authorization header carries the token.

        Raises:
            ConfigError: There is no token to compare with.
        """
        scheme, _, credentials = authorization.partition(" ")
        expected = self.current().encode()
        # Compared in constant time, but for the scheme, which isn't secret.
        same = hmac.compare_digest(
            credentials.strip().encode("utf-8", "replace"), expected
        )
        return scheme.lower() == "bearer" and same


class Caller(NamedTuple):
    """The two ends of a connection, as the socket has them."""

    peer: tuple[Any, ...]
    ours: tuple[Any, ...]


class Gate:
    """Decides on every request, by the monitor's rules.

    Without a token only this machine may read, and only by a name of this machine: a
    page in a browser that makes its own name lead here would read everything else.
    """

    def __init__(self, listen: Listen, token: Token) -> None:
        self._loopback = listen.loopback
        self._hosts = LOCAL | {listen.host}
        self._token = token
        self._attempts = Attempts()

    def problem(
        self, path: str, headers: Message, version: str, caller: Caller
    ) -> tuple[int, str] | None:
        """Return the status and reason to refuse with, or None.

        Raises:
            ConfigError: There is no token to compare with.
        """
        if path == "/-/healthy" or self._bears(headers, caller):
            return None
        # A proxy that adds no header mostly speaks HTTP/1.0, which no browser does.
        proxied = version != "HTTP/1.1" or any(name in headers for name in PROXIED)
        if proxied or path in STEERING or not self._loopback:
            # Raises when no token exists: that is the better message.
            self._token.current()
            return 401, (
                f"{path} needs the token: Authorization: Bearer <token>, from "
                "WATCHROOM_TOKEN[_FILE] or the runtime directory's file `token`"
            )
        if host_of(headers.get("Host", "")) not in self._hosts:
            return 403, "unknown Host header: use localhost, or send the token"
        return None

    def _bears(self, headers: Message, caller: Caller) -> bool:
        header = headers.get("Authorization", "")
        if not header.lower().startswith("bearer "):
            return False
        try:
            right = self._token.allows(header)
        except ConfigError:  # no token exists
            return False
        if right and self._attempts.quiet():
            return True
        address = sender(caller.peer, caller.ours, headers.get("X-Forwarded-For", ""))
        # Users of this machine that cannot be told apart must not lock each other out.
        if address not in LOCAL and self._attempts.wait(address):
            return False
        if not right:
            self._attempts.wrong(address)
        return right


def refuse_open(listen: Listen, token: Token) -> None:
    """Refuse to listen for other machines without a token that they can know.

    Raises:
        ConfigError: Beyond loopback without WATCHROOM_TOKEN or WATCHROOM_TOKEN_FILE.
    """
    if listen.loopback or token.given:
        return
    raise ConfigError(
        f"{listen} can be reached from other machines, but no token is set",
        field="--listen",
        hint="set WATCHROOM_TOKEN or WATCHROOM_TOKEN_FILE, or listen on 127.0.0.1",
    )


def _read_or_make(path: Path, known: str) -> str:
    """Return the file's token; make the file, with the token known before if any.

    Raises:
        OSError: Neither is possible, or the file is not safe to trust.
    """
    for _ in range(2):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            stored = tokenfile.read_private(path)
            if len(stored) >= tokenfile.SHORTEST:
                return stored
            path.unlink(missing_ok=True)
            continue
        with os.fdopen(descriptor, "w") as file:
            token = known or secrets.token_urlsafe(32)
            file.write(token + "\n")
        return token
    raise OSError(0, "the token file is still empty")
