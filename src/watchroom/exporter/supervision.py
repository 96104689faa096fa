"""Keeps the gauges' child alive, and its last good values."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.errors import FormatError, WatchroomError
from watchroom.exporter.faults import Faults
from watchroom.formats.exposition import Family, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SETUP_SECONDS = 60.0
LIMIT_SECONDS = 10.0
SERVED_FOR = 3  # times `every`
_BACKOFF = (1.0, 60.0)
_LONGEST_PENALTY = 900.0
_LONGEST_LINE = 1 << 20


class _Gauge(NamedTuple):
    name: str
    help: str
    labels: tuple[str, ...]
    every: float

    @property
    def limit(self) -> float:
        return min(LIMIT_SECONDS, self.every)


class _Value(NamedTuple):
    at: float
    samples: Sequence[Sample]


class _ChildError(WatchroomError):
    pass


class GaugeChild:
    """Asks the project's gauges in a child process, again and again.

    A function that outlasts its limit (10 s, or its `every` if that is less) costs the
    child, not the exporter: it is killed and started again, and that function waits
    longer each time. The last good value is served for 3 × `every`, then none.

    Args:
        environ: The child's environment: DJANGO_SETTINGS_MODULE, and PYTHONPATH where
            that module is found.
        faults: Where failures of the child itself are counted.
    """

    def __init__(self, environ: Mapping[str, str], faults: Faults) -> None:
        # The child's own queries are none of the app's.
        self._environ = {**environ, "WATCHROOM_ENABLED": "0"}
        self._faults = faults
        self._errors = Faults((), "watchroom_gauge_errors_total", "gauge")
        self._lock = threading.Lock()
        self._gauges: dict[str, _Gauge] = {}
        self._values: dict[str, _Value] = {}
        self._begun: dict[str, float] = {}
        self._hung: dict[str, int] = {}
        self._broken = False
        self._ready = False
        self._restarts = 0
        self._wake, self._woken = os.pipe()
        self._stopping = False
        self._thread = threading.Thread(target=self._supervise, name="gauges")

    def start(self) -> None:
        """Start the child and its supervision."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the child, and wait for it."""
        self._stopping = True
        os.write(self._woken, b".")
        self._thread.join()
        os.close(self._woken)
        os.close(self._wake)

    def families(self) -> list[Family]:
        """Return the gauges with their fresh values, and the failures by gauge."""
        now = time.monotonic()
        found = []
        with self._lock:
            for gauge in self._gauges.values():
                value = self._values.get(gauge.name)
                if value is not None and now - value.at <= SERVED_FOR * gauge.every:
                    found.append(Family(gauge.name, "gauge", gauge.help, value.samples))
            restarts = float(self._restarts)
        name = "watchroom_exporter_child_restarts_total"
        text = "Restarts of the process that asks the gauges."
        found.append(Family(name, "counter", text, [Sample(name, (), restarts)]))
        errors = self._errors.family()
        return [*found, errors] if errors.samples else found

    def _supervise(self) -> None:
        pause = _BACKOFF[0]
        while not self._stopping:
            self._broken = self._ready = False
            try:
                self._run_child()
            except (OSError, WatchroomError) as error:
                self._faults.count("gauges", error)
            else:
                if not self._gauges and not self._broken:
                    return  # there is nothing to ask
            if self._ready:  # one function hung: the others should not wait for it
                pause = _BACKOFF[0]
            self._sleep(pause)
            pause = min(2 * pause, _BACKOFF[1])
            self._restarts += 1

    def _run_child(self) -> None:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "watchroom.exporter.gauges"],
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A group of its own: what a gauge function started goes with it.
            start_new_session=True,
        )
        try:
            assert child.stdin is not None  # noqa: S101 - PIPE above
            assert child.stdout is not None  # noqa: S101 - PIPE above
            with suppress(BrokenPipeError):
                child.stdin.write(json.dumps({"wait": self._waits()}).encode() + b"\n")
                child.stdin.flush()
            self._listen(child.stdout.fileno())
            with suppress(subprocess.TimeoutExpired):
                child.wait(0.0 if self._stopping else 2.0)
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            code = child.wait()
            for pipe in (child.stdin, child.stdout):
                with suppress(OSError):
                    pipe.close() if pipe else None
        if code and not self._stopping:
            raise _ChildError(f"the gauges' process ended with code {code}")

    def _listen(self, output: int) -> None:
        """Read the child's lines until it ends, hangs, or we stop."""
        pending = b""
        asking: _Gauge | None = None
        deadline: float | None = time.monotonic() + SETUP_SECONDS
        while not self._stopping:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                self._hang(asking)
            ready, _, _ = select.select([output, self._wake], [], [], left)
            if output not in ready:
                continue
            data = os.read(output, 65536)
            if not data:
                if asking is not None:
                    self._punish(asking, "its process died")
                return
            *lines, pending = (pending + data).split(b"\n")
            if len(pending) > _LONGEST_LINE:
                raise FormatError("the gauges' process speaks without end")
            for line in lines:
                asking = self._heard(_message(line), asking)
                deadline = time.monotonic() + asking.limit if asking else None

    def _heard(self, message: dict[str, Any], asking: _Gauge | None) -> _Gauge | None:
        """Take one message in; return the gauge that is being asked now."""
        now = time.monotonic()
        if "ready" in message:
            gauges = [
                _Gauge(one["name"], one["help"], tuple(one["labels"]), one["every"])
                for one in message["ready"]
            ]
            with self._lock:
                self._gauges = {gauge.name: gauge for gauge in gauges}
            self._ready = bool(gauges)
            for gauge in gauges:
                self._errors.show(gauge.name)
            if not self._broken:
                self._faults.clear("gauges")
        elif "broken" in message:
            self._broken = True
            text = f"{message['broken']} does not import: {message['text']}"
            self._faults.count("gauges", text)
        elif "failed" in message:
            self._broken = True
            text = f"the project does not set up: {message['failed']}"
            self._faults.count("gauges", text)
        elif "begin" in message:
            self._begun[message["begin"]] = now
            return self._gauges[message["begin"]]
        elif "value" in message and asking is not None:
            self._keep(asking, message["samples"], now)
        elif "error" in message and asking is not None:
            self._hung.pop(asking.name, None)
            self._errors.count(asking.name, message["text"])
        return None

    def _keep(self, gauge: _Gauge, found: list[Any], now: float) -> None:
        samples = [
            Sample(
                gauge.name,
                tuple(sorted(zip(gauge.labels, values, strict=True))),
                float(number),
            )
            for values, number in found
        ]
        with self._lock:
            self._values[gauge.name] = _Value(now, samples)
        self._hung.pop(gauge.name, None)
        self._errors.clear(gauge.name)

    def _hang(self, asking: _Gauge | None) -> None:
        if asking is None:
            raise _ChildError(
                f"the project's set-up took more than {SETUP_SECONDS:g} s"
            )
        self._punish(asking, f"no value within {asking.limit:g} s")
        raise _ChildError(f"{asking.name} hung; its process was killed")

    def _punish(self, gauge: _Gauge, text: str) -> None:
        self._errors.count(gauge.name, text)
        self._hung[gauge.name] = self._hung.get(gauge.name, 0) + 1

    def _waits(self) -> dict[str, float]:
        """Return how long the next child should leave each gauge alone."""
        now = time.monotonic()
        waits = {}
        for name, begun in self._begun.items():
            every = self._gauges[name].every if name in self._gauges else 0.0
            penalty = min(every * 2 ** self._hung.get(name, 0), _LONGEST_PENALTY)
            waits[name] = max(0.0, begun + max(every, penalty) - now)
        return waits

    def _sleep(self, seconds: float) -> None:
        if not self._stopping:
            select.select([self._wake], [], [], seconds)


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise FormatError(f"the gauges' process says {line[:80]!r}")
    return message
