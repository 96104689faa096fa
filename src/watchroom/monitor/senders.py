"""Whose attempts are counted: a client's network, or a user of this machine."""

from __future__ import annotations

import ipaddress
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from aiohttp import web

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LOCAL_ADDRESS, _REMOTE_ADDRESS, _UID = 1, 2, 7  # columns of these tables
_HOUSEHOLD = 64  # bits of an IPv6 address that one customer is given, at the least


def sender_of(request: web.Request) -> str:
    """Return whose attempts these are.

    Who connects, or whom our own proxy names; of IPv6 the network, since a client may
    take any address of it. On this machine ``user N``, as /proc tells it: whoever
    guesses locks out nobody else.
    """
    remote = request.remote or ""
    if remote not in LOCAL:
        return _network(remote)
    named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    if named:
        return _network(named)
    transport = request.transport
    if transport is None:
        return remote
    ends = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
    uid = user_at(*ends) if all(ends) else None
    return remote if uid is None else f"user {uid}"


def _network(text: str) -> str:
    """Return an IPv4 address, the /64 of an IPv6 one, or what is neither, cut."""
    try:
        address = ipaddress.ip_address(_bare(text))
    except ValueError:
        return text[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        found = int(address) >> _HOUSEHOLD << _HOUSEHOLD
        return f"{ipaddress.IPv6Address(found)}/{_HOUSEHOLD}"
    return str(address)


def _bare(text: str) -> str:
    """Return an address without the port and brackets that some proxies add."""
    if text.startswith("[") or text.count(":") == 1:
        with suppress(ValueError):
            return urlsplit(f"//{text}").hostname or text
    return text


def user_at(peer: tuple[Any, ...], ours: tuple[Any, ...]) -> int | None:
    """Return the user whose socket is the other end of a connection on this machine.

    Args:
        peer: Address and port of the other end.
        ours: Those of this end.
    """
    wanted = _kernels(*peer[:2]), _kernels(*ours[:2])
    for table in _TABLES:
        with suppress(OSError), Path(table).open() as rows:
            for row in rows:
                columns = row.split()
                if (columns[_LOCAL_ADDRESS], columns[_REMOTE_ADDRESS]) == wanted:
                    return int(columns[_UID])
    return None


def _kernels(host: str, port: int) -> str:
    """Return an address as the kernel prints it: words in the machine's byte order."""
    packed = ipaddress.ip_address(host).packed
    words = (packed[i : i + 4] for i in range(0, len(packed), 4))
    text = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return f"{text}:{port:04X}"
