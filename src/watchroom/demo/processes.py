"""Child processes that cannot outlive the demo, whatever way it ends."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from watchroom.errors import WatchroomError
from watchroom.lifeline import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


_LONGEST_STEP = 120
# Below 32768, where Linux begins to take the ports of outgoing connections.
_LOWEST, _SHARES, _SHARE = 10_000, 64, 320
_TURNS = itertools.count()


class DemoError(WatchroomError):
    """A stage of the demo did not come true; `stage` names it.

    Attributes:
        stage: One word for scripts: what was waited for (``scraped``, ``pending`` …),
            or the process that failed (``migrate``, ``app``, ``monitor`` …).
    """

    def __init__(self, stage: str, message: str) -> None:
        super().__init__(message)
        self.stage = stage


class Processes:
    """The children of one demo, each in a process group and with a log of its own."""

    def __init__(self, logs: Path, environ: Mapping[str, str]) -> None:
        self.logs = logs
        self.environ = dict(environ)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def run(self, name: str, argv: Sequence[str], *, cwd: Path) -> None:
        """Run a step to its end.

        Raises:
            DemoError: It failed or hangs; the message has the last lines of its log.
        """
        self.start(name, argv, cwd=cwd)
        try:
            code = self._running[name].wait(timeout=_LONGEST_STEP)
        except subprocess.TimeoutExpired:
            raise DemoError(
                name, f"{name} did not end in {_LONGEST_STEP} s\n{self.tail(name)}"
            ) from None
        if code:
            raise DemoError(name, f"{name} {_ended(code)}\n{self.tail(name)}")
        del self._running[name]

    def start(
        self, name: str, argv: Sequence[str], *, cwd: Path, **environ: str
    ) -> None:
        """Start a server; its output goes to ``<logs>/<name>.log``."""
        with (self.logs / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(  # noqa: S603 - our own argv
                argv,
                cwd=cwd,
                env=self.environ | environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl
            )

    def ask(self, name: str, argv: Sequence[str], *, cwd: Path, **environ: str) -> str:
        """Run a command to its end, however that is; return what it says on stdout.

        Raises:
            DemoError: It hangs.
        """
        with (self.logs / f"{name}.log").open("ab") as log:
            try:
                done = subprocess.run(  # noqa: S603 - our own argv
                    argv,
                    cwd=cwd,
                    env=self.environ | environ,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    timeout=_LONGEST_STEP,
                    check=False,
                    preexec_fn=die_with_parent,
                )
            except subprocess.TimeoutExpired:
                raise DemoError(
                    name, f"{name} did not end in {_LONGEST_STEP} s\n{self.tail(name)}"
                ) from None
        return done.stdout

    def check(self) -> None:
        """Raise DemoError when a server has died."""
        for name, process in self._running.items():
            if (code := process.poll()) is not None:
                raise DemoError(name, f"{name} {_ended(code)}\n{self.tail(name)}")

    def tail(self, name: str, lines: int = 12) -> str:
        """Return the last lines of a child's log."""
        path = self.logs / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:])

    def stop(self) -> None:
        """Stop everything: SIGTERM to each group, SIGKILL to what stays."""
        for process in self._running.values():
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + 8
        for process in reversed(self._running.values()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.1, deadline - time.monotonic()))
            # Also when the leader left in time: its children may have not.
            _signal_group(process, signal.SIGKILL)
            process.wait()
        self._running.clear()


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}; its last words:"
    return f"ended with exit code {code}; its last words:"


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def free_port(preferred: int) -> int:
    """Return `preferred` when nothing listens there on loopback, else a free port.

    Not one of the kernel's choice: it gives those to outgoing connections as well, and
    one of them may take the port before its server does. Processes of neighbouring
    numbers look in different places, one after the other.
    """
    mine = _LOWEST + os.getpid() % _SHARES * _SHARE
    others = (mine + next(_TURNS) % _SHARE for _ in range(_SHARE))
    for port in itertools.chain([preferred] if preferred else [], others):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoError("start", "no free port on 127.0.0.1")
