"""Where the exporter listens, and who may steer it."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import ConfigError
from watchroom.formats import tokenfile

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LISTEN = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:\s]*)):([0-9]{1,5})")


class Listen(NamedTuple):
    """An address to listen on.

    Attributes:
        host: A name or an IP address, without brackets; empty is every address.
        port: 0 lets the system choose one.
    """

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def ipv6(self) -> bool:
        """Whether the host is written as an IPv6 address."""
        return ":" in self.host

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.ipv6 else f"{self.host}:{self.port}"


def parse_listen(text: str) -> Listen:
    """Read ``127.0.0.1:9000``, ``[::1]:9000``, ``:9000`` or ``name:9000``.

    Raises:
        ConfigError: It is none of these.
    """
    found = _LISTEN.fullmatch(text)
    if found is None or int(found[3]) > 65535:
        raise ConfigError(
            f"{text!r} is no address to listen on",
            field="--listen",
            hint="write 127.0.0.1:9000",
        )
    return Listen(found[1] or found[2] or "", int(found[3]))


class Token:
    """The secret that starting a drill needs.

    It comes from WATCHROOM_TOKEN, from the file that WATCHROOM_TOKEN_FILE names, or
    from ``<runtime directory>/token``, which is made (mode 0600) when it is missing.

    Args:
        environ: The environment.
        runtime_dir: Where processes of this machine meet; None when there is none.

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
            ConfigError: There is none, and none can be made.
        """
        if self.given:
            return self.given
        if self._path is None:
            raise ConfigError(
                "no runtime directory to keep a token in", hint="set WATCHROOM_TOKEN"
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
        """Say whether an Authorization header carries the token.

        Raises:
            ConfigError: There is no token to compare with.
        """
        scheme, _, said = authorization.partition(" ")
        expected = self.current().encode()
        # Compared in constant time, the scheme apart: it is no secret.
        same = hmac.compare_digest(said.strip().encode("utf-8", "replace"), expected)
        return scheme.lower() == "bearer" and same


def refuse_open(listen: Listen, token: Token) -> None:
    """Refuse to listen for other machines without a token that they can know.

    Raises:
        ConfigError: Beyond loopback without WATCHROOM_TOKEN or WATCHROOM_TOKEN_FILE.
    """
    if listen.loopback or token.given:
        return
    raise ConfigError(
        f"{listen} can be reached from other machines, and there is no token",
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
            made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if found := tokenfile.read_private(path):
                return found
            path.unlink(missing_ok=True)
            continue
        with os.fdopen(made, "w") as file:
            token = known or secrets.token_urlsafe(32)
            file.write(token + "\n")
        return token
    raise OSError(0, "the file stays empty")
