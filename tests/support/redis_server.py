"""A Redis server of Debian's packages, for one test session."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.support.ports import free_port


@contextmanager
def redis_server(port: int = 0) -> Iterator[str]:
    """Run an empty server that keeps nothing on disk and yield its URL."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("needs Debian's redis-server")
    port = port or free_port()
    with tempfile.TemporaryDirectory(prefix="watchroom-redis-") as folder:
        server = subprocess.Popen(
            [program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait(port, server)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait(10)


def _wait(port: int, server: subprocess.Popen) -> None:
    end = time.monotonic() + 10
    while True:
        assert server.poll() is None, f"redis-server ended with {server.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < end, "redis-server does not listen after 10 s"
            time.sleep(0.05)
        else:
            return
