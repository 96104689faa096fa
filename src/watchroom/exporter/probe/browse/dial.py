"""A connection to the first of a name's addresses that takes one.

Source: RFC 8305 ("happy eyeballs"), sections 4 and 5: families take turns, and the next
address is tried 250 ms after the last one, or at once when that one failed. So a dead
address beside a good one delays a visitor by a quarter of a second, and the probe too.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STAGGER_SECONDS = 0.25
MOST_ADDRESSES = 16
_UNDER_WAY = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK})

AddressInfo = tuple[int, int, int, str, Any]


def connect(
    addresses: Iterable[AddressInfo], time_left: Callable[[], float]
) -> socket.socket:
    """Return a connected socket, its time-out what is left.

    Args:
        addresses: As `socket.getaddrinfo` returns them.
        time_left: Returns how many seconds are left, or raises TimeoutError.

    Raises:
        OSError: No address took the connection; the last one's reason.
        TimeoutError: None did in time.
    """
    waiting = _in_turns(addresses)[:MOST_ADDRESSES]
    failed = OSError("the name has no address")
    with selectors.DefaultSelector() as under_way:
        try:
            while waiting or under_way.get_map():
                if waiting:
                    try:
                        under_way.register(
                            _begin(waiting.pop(0)), selectors.EVENT_WRITE
                        )
                    except OSError as error:
                        failed = error
                        continue
                patience = min(STAGGER_SECONDS, time_left()) if waiting else time_left()
                for key, _ in under_way.select(patience):
                    done: Any = key.fileobj
                    under_way.unregister(done)
                    number = done.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                    if number == 0:
                        done.settimeout(time_left())
                        connected: socket.socket = done
                        return connected
                    done.close()
                    failed = OSError(number, os.strerror(number))
        finally:
            for key in list(under_way.get_map().values()):
                unfinished: Any = key.fileobj
                unfinished.close()
    raise failed


def within(seconds: float) -> Callable[[], float]:
    """Return a function that returns how many of these seconds remain from now."""
    end = time.monotonic() + seconds

    def left() -> float:
        remaining = end - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("out of time")
        return remaining

    return left


def _begin(info: AddressInfo) -> socket.socket:
    family, kind, protocol, _, address = info
    sock = socket.socket(family, kind, protocol)
    sock.setblocking(False)
    number = sock.connect_ex(address)
    if number in _UNDER_WAY:
        return sock
    sock.close()
    raise OSError(number, os.strerror(number))


def _in_turns(addresses: Iterable[AddressInfo]) -> list[AddressInfo]:
    by_family: dict[int, list[AddressInfo]] = {}
    for info in addresses:
        by_family.setdefault(info[0], []).append(info)
    turns = chain.from_iterable(zip_longest(*by_family.values()))
    return [info for info in turns if info is not None]
