"""A server that accepts and never answers, until it is healed."""

import contextlib
import socket
import threading


class Hole:
    """Accepts every connection on a loopback port and keeps silent.

    Closing it is what a killed server does to its clients: their connections break.
    """

    def __init__(self, port=0):
        self.taken = []
        self._socket = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self._socket.accept()[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        # Shut down first: close alone does not wake the thread in accept().
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
        for one in self.taken:
            one.close()
