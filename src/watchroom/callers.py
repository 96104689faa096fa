"""Who calls one of our servers, and how often with a wrong token.

One rule for the monitor and the exporter. Standard library only.
"""

from __future__ import annotations

import ipaddress
import sys
import time
from collections import OrderedDict, deque
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
# A request with one of these came through a proxy: its sender is not who connects.
PROXIED = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host")
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_LOCAL_ADDRESS, _REMOTE_ADDRESS, _UID = 1, 2, 7  # columns of these tables
_HOUSEHOLD = 64  # bits of an IPv6 address that one customer is given, at the least


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
        self._last = -seconds

    def quiet(self) -> bool:
        """Return whether nobody has given a wrong one lately."""
        return self._now() - self._last >= self._seconds

    def wait(self, sender: str) -> int:
        """Return for how many seconds nothing more is tried for `sender`; mostly 0."""
        times = self._wrong.get(sender)
        if times is None or len(times) < self._most:
            return 0
        return max(0, int(times[0] + self._seconds - self._now()) + 1)

    def wrong(self, sender: str) -> None:
        """Note a wrong credential."""
        times = self._wrong.setdefault(sender, deque(maxlen=self._most))
        self._last = now = self._now()
        while times and now - times[0] >= self._seconds:
            times.popleft()
        times.append(now)
        self._wrong.move_to_end(sender)
        while len(self._wrong) > self._senders:
            self._wrong.popitem(last=False)


def host_of(header: str) -> str:
    """Return the host of a Host header, without port and brackets, lower case."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def sender(peer: tuple[Any, ...], ours: tuple[Any, ...], forwarded: str) -> str:
    """Return whose attempts these are.

    The client's address, or the one that our own proxy names; for IPv6 the network, as
    a client may use any address of it. On this machine ``user N`` from /proc, so that a
    user who guesses locks out no one else.

    Args:
        peer: Address and port of the other end; empty when not known.
        ours: Those of this end.
        forwarded: The header X-Forwarded-For, or empty.
    """
    remote = str(peer[0]) if peer else ""
    if remote not in LOCAL:
        return network_of(remote)
    if named := forwarded.rpartition(",")[2].strip():
        return network_of(named)
    uid = user_at(peer, ours) if ours else None
    return remote if uid is None else f"user {uid}"


def network_of(text: str) -> str:
    """Return an IPv4 address, the /64 of an IPv6 one, or what is neither, cut."""
    try:
        address = ipaddress.ip_address(_bare(text))
    except ValueError:
        return text[:64]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        network = int(address) >> _HOUSEHOLD << _HOUSEHOLD
        return f"{ipaddress.IPv6Address(network)}/{_HOUSEHOLD}"
    return str(address)


def _bare(text: str) -> str:
    """Return an address without the port and brackets that some proxies add."""
    if text.startswith("[") or text.count(":") == 1:
        with suppress(ValueError):
            return urlsplit(f"//{text}").hostname or text
    return text


def user_at(peer: tuple[Any, ...], ours: tuple[Any, ...]) -> int | None:
    """Return the user whose socket is the other end of a connection on this machine."""
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
