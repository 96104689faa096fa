"""Ports on loopback that nobody uses."""

from watchroom.demo import processes


def free_port() -> int:
    """Return a port that was free a moment ago, and that no connection will be given.

    The kernel's own choice, of port 0, may be the next outgoing connection's: of
    another test, before the server that it was asked for has started.
    """
    return processes.free_port(0)
