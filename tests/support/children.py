"""Child processes that end with the test that started them."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.waiting import until


class Children:
    """Starts processes in groups of their own, logs to files, stops them all."""

    def __init__(self, logs: Path):
        self.logs = logs
        self._running: list[subprocess.Popen] = []
        logs.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
    ) -> subprocess.Popen:
        """Start a process; its output goes to `<logs>/<name>.log`."""
        with (self.logs / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                command,
                env=env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._running.append(child)
        return child

    def log(self, name: str) -> str:
        """Return what a process has said so far."""
        return (self.logs / f"{name}.log").read_text(errors="replace")

    def wait_until(
        self,
        done: Callable[[], object],
        what: str,
        seconds: float = 20.0,
        *,
        alive: subprocess.Popen | None = None,
    ) -> None:
        """Wait until `done()` is true; fail by name when it is not, or `alive` dies."""
        until(done, seconds, what, alive=alive)

    def stop(self, child: subprocess.Popen | None = None, seconds: float = 10.0):
        """Stop one process with its children, or all: asked first, then killed."""
        ending = [child] if child else self._running[::-1]
        for one in ending:
            if one.poll() is None:
                one.send_signal(signal.SIGTERM)
        end = time.monotonic() + seconds
        for one in ending:
            with suppress(subprocess.TimeoutExpired):
                one.wait(max(0.0, end - time.monotonic()))
            # What the process leaves behind in its group must not outlive the test.
            with suppress(ProcessLookupError):
                os.killpg(one.pid, signal.SIGKILL)
            one.wait()
            self._running.remove(one)
