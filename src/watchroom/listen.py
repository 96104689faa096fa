"""An address to listen on, `127.0.0.1:9000` or `:9000`, and how many may connect."""

from __future__ import annotations

import ipaddress
import re
import resource
from contextlib import suppress
from typing import NamedTuple

from watchroom.errors import ConfigError

_LISTEN = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\[\]:\s]*)):([0-9]{1,5})")
_HERE = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - no socket is bound


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

    @property
    def url(self) -> str:
        """Where programs of this machine reach it; of every address, by loopback."""
        host = _HERE.get(self.host, self.host)
        return f"http://{self._replace(host=host)}"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if self.ipv6 else f"{self.host}:{self.port}"


def parse_listen(text: str) -> Listen:
    """Read ``127.0.0.1:9000``, ``[::1]:9000``, ``:9000`` or ``name:9000``.

    Raises:
        ConfigError: It is none of these.
    """
    match = _LISTEN.fullmatch(text)
    if match is None or int(match[3]) > 65535:
        raise ConfigError(
            f"{text!r} isn't an address to listen on",
            field="--listen",
            hint="write 127.0.0.1:9000",
        )
    return Listen(match[1] or match[2] or "", int(match[3]))


def raise_descriptors(most: int) -> int:
    """Raise the soft limit of open files towards the hard one; return what it is then.

    Args:
        most: As many are enough.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return wanted if soft == resource.RLIM_INFINITY else min(soft, wanted)
