"""Python programs in processes of their own, without the time that imports take.

One process of each test worker imports modules once, and forks itself for each program.
Arguments, environment, directory, outputs, the project's own modules and the exit are
the program's own. Where the start of Python or an import is what a test is about, it
starts Python itself.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_LENGTH = struct.Struct("!I")


class Warm:
    """Runs `python …` as `subprocess.run` does, once a first process is warm.

    Args:
        modules: What each of the programs imports anyway.
        options: Options of Python, before `-m` or `-c`.
    """

    def __init__(self, *modules: str, options: Sequence[str] = ()) -> None:
        self._modules, self._options = modules, options
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def _connected(self) -> socket.socket:
        if self._socket is None or (self._process and self._process.poll() is not None):
            ours, theirs = socket.socketpair()
            code = f"from tests.support.warm import serve; serve({theirs.fileno()}"
            words = ", ".join(map(repr, self._modules))
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, *self._options, "-c", f"{code}, {words})"],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    # Python warns of a fork beside another thread, such as numpy's.
                    env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
                )
            self._socket = ours
            atexit.register(self._close)
        return self._socket

    def _close(self) -> None:
        if self._socket and self._process:
            self._socket.close()
            self._process.wait()

    def run(
        self, *words: str, cwd: Path, env: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end.

        Args:
            words: `-m MODULE …` or `-c CODE …`.
            cwd: Its directory.
            env: Its environment.
            timeout: Seconds that it may take.

        Raises:
            subprocess.TimeoutExpired: When it took longer; it is killed.
        """
        asked = json.dumps([words, str(cwd), dict(env)]).encode()
        with (
            self._lock,
            tempfile.TemporaryFile("w+", encoding="utf-8") as out,
            tempfile.TemporaryFile("w+", encoding="utf-8") as err,
        ):
            server = self._connected()
            fds = array.array("i", [out.fileno(), err.fileno()])
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)
            server.sendmsg([_LENGTH.pack(len(asked))], [rights])
            server.sendall(asked)
            server.settimeout(None)
            pid = _number(server)
            server.settimeout(timeout)
            try:
                status = _number(server)
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                server.settimeout(None)
                _number(server)
                raise subprocess.TimeoutExpired(words, timeout) from None
            out.seek(0)
            err.seek(0)
            code = os.waitstatus_to_exitcode(status)
            return subprocess.CompletedProcess(words, code, out.read(), err.read())


def _exactly(server: socket.socket, length: int) -> bytes:
    found = b""
    while len(found) < length:
        more = server.recv(length - len(found))
        if not more:
            raise EOFError(f"{len(found)} of {length} bytes")
        found += more
    return found


def _number(server: socket.socket) -> int:
    return int(_LENGTH.unpack(_exactly(server, _LENGTH.size))[0])


def serve(fileno: int, *modules: str) -> None:
    """Import modules, then fork one program after the other until nobody asks.

    In the child it returns when the program has ended, so that Python ends as usual.
    """
    for name in modules:
        importlib.import_module(name)
    server = socket.socket(fileno=fileno)
    while True:
        head, fds, _, _ = socket.recv_fds(server, _LENGTH.size, 2)
        if not head:
            server.close()
            return
        asked = _exactly(server, _LENGTH.unpack(head)[0])
        pid = os.fork()
        if not pid:
            server.close()
            break
        for fd in fds:
            os.close(fd)
        server.sendall(_LENGTH.pack(pid))
        _, status = os.waitpid(pid, 0)
        server.sendall(_LENGTH.pack(status))
    for number, fd in enumerate(fds, 1):
        os.dup2(fd, number)
        os.close(fd)
    words, cwd, environ = json.loads(asked)
    _become(words, cwd, environ)


def _become(words: list[str], cwd: str, environ: dict[str, str]) -> None:
    """Run as `python` with these words would."""
    mine, theirs = (
        [one for one in given.get("PYTHONPATH", "").split(os.pathsep) if one]
        for given in (os.environ, environ)
    )
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    kind, what, *arguments = words
    sys.argv = [kind, *arguments]
    standard = [one for one in sys.path[1:] if one not in mine]
    sys.path[:] = [cwd if kind == "-m" else "", *theirs, *standard]
    if set(theirs) - set(mine):
        sys.modules.pop("sitecustomize", None)
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module("sitecustomize")  # as Python does when it starts
    if kind == "-m":
        runpy.run_module(what, run_name="__main__", alter_sys=True)
        return
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    exec(compile(what, "<string>", "exec"), main.__dict__)
