"""Ports on loopback that nobody uses."""

import itertools
import os
import socket

# Below 32768, where Linux begins to take the ports of outgoing connections.
_LOWEST, _SHARES, _SHARE = 10_000, 64, 320
_TURNS = itertools.count()


def free_port() -> int:
    """Return a port that was free a moment ago, and that no connection will be given.

    The kernel's own choice, of port 0, may be the next outgoing connection's: of
    another test, before the server that it was asked for has started. Processes of
    neighbouring numbers look in different places, one after the other.
    """
    mine = _LOWEST + os.getpid() % _SHARES * _SHARE
    for _ in range(_SHARE):
        port = mine + next(_TURNS) % _SHARE
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port on 127.0.0.1")
