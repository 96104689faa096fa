"""Sites that answer byte for byte what a test says, whatever HTTP would say of it."""

import contextlib
import socket
import threading
import time
from typing import NamedTuple


class Asked(NamedTuple):
    """What a request said."""

    path: str
    host: str
    cookie: str
    authorization: str


class OddSite:
    """A listener on loopback, one thread a connection, each of which ends it.

    Args:
        answer: Returns the bytes for an `Asked`, or yields them; a number in between is
            a pause in seconds.
        tls: A server's context, or None.
        host: ``127.0.0.1`` or ``::1``.
    """

    def __init__(self, answer, tls=None, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._answer, self._tls = answer, tls
        self._listening = socket.create_server((host, 0), family=family, backlog=64)
        self.port = self._listening.getsockname()[1]
        self.leaving = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leaving.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(5)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                taken = self._listening.accept()[0]
                threading.Thread(target=self._serve, args=(taken,), daemon=True).start()

    def _serve(self, taken):
        taken.settimeout(10)
        with contextlib.suppress(OSError):
            if self._tls is not None:
                taken = self._tls.wrap_socket(taken, server_side=True)
            data = b""
            while b"\r\n\r\n" not in data:
                data += taken.recv(65536) or b"\r\n\r\n"
            said = self._answer(_asked(data))
            for part in (said,) if isinstance(said, bytes) else said:
                if isinstance(part, bytes):
                    taken.sendall(part)
                else:
                    self.leaving.wait(part)
            taken.shutdown(socket.SHUT_WR)
            time.sleep(0)
            taken.recv(1)
        taken.close()


def _asked(data):
    line, *lines = data.decode("latin-1").split("\r\n")
    fields = dict(one.split(": ", 1) for one in lines if ": " in one)
    return Asked(
        line.split(" ")[1] if " " in line else "",
        fields.get("Host", ""),
        fields.get("Cookie", ""),
        fields.get("Authorization", ""),
    )
