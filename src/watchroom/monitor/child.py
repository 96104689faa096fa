"""A child process that is started again when it ends: the exporter."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes  # noqa: F401 - for die_with_parent: no import in a forked child
import logging
import os
import signal
from typing import TYPE_CHECKING

from watchroom.lifeline import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_HEALTHY_AFTER = 30.0
_STOP_SECONDS = 8.0


class Child:
    """Keeps one command running.

    Args:
        name: For the log.
        command: What to run.
        env: Its whole environment.
    """

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str]
    ) -> None:
        self._name = name
        self._command = list(command)
        self._env = dict(env)
        self._process: asyncio.subprocess.Process | None = None
        self.restarts = 0

    async def run(self) -> None:
        """Start it, and again whenever it ends; stop it when cancelled."""
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    env=self._env,
                    start_new_session=True,
                    preexec_fn=die_with_parent,
                )
                code = await self._process.wait()
                if loop.time() - began > _HEALTHY_AFTER:
                    pause = _FIRST_PAUSE
                self.restarts += 1
                _LOG.error(
                    "%s exited with %s; restarting in %.0f s", self._name, code, pause
                )
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
