"""Keeps a group's child alive, and its last good values."""

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
from watchroom.exporter.failures import Failures
from watchroom.formats.exposition import Family, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.exporter.collect.groups import CollectorGroup

SETUP_SECONDS = 60.0
SERVED_FOR = 3  # times `every`
_BACKOFF = (1.0, 60.0)
_LONGEST_PENALTY = 900.0
_LONGEST_LINE = 1 << 20
_COMMAND = (sys.executable, "-P", "-m", "watchroom.exporter.collect.child")


class _Metric(NamedTuple):
    name: str
    kind: str
    help: str
    labels: tuple[str, ...]


class _Collector(NamedTuple):
    name: str
    every: float
    limit: float
    metrics: Mapping[str, _Metric]
    hung: Mapping[str, list[Any]] | None


class _Value(NamedTuple):
    at: float
    samples: Mapping[str, Sequence[Sample]]


class _ChildError(WatchroomError):
    pass


class Child:
    """Asks a group's collectors in a child process, again and again.

    A function that outlasts its limit costs the child, not the exporter: it is killed
    and started again, and that function is asked after the others, or later each time.
    The last good value is served for 3 × `every`, and as long as a child takes to set
    itself up, then none; a collector that says what a hang means is believed at once,
    and until it answers.

    Args:
        group: Whose collectors.
        environ: The child's environment: DJANGO_SETTINGS_MODULE, and PYTHONPATH where
            that module is found.
        failures: Where failures of the child itself are counted, as the group's part.
    """

    def __init__(
        self, group: CollectorGroup, environ: Mapping[str, str], failures: Failures
    ) -> None:
        # The child's own queries are none of the app's.
        self._environ = {**environ, "WATCHROOM_ENABLED": "0"}
        self._group = group
        self._failures = failures
        self._errors = Failures((), "watchroom_gauge_errors_total", "gauge")
        self._lock = threading.Lock()
        self._collectors: dict[str, _Collector] = {}
        self._values: dict[str, _Value] = {}
        self._begun: dict[str, float] = {}
        self._hung: dict[str, int] = {}
        self._broken = False
        self._ready = False
        self._spawned = 0.0
        self._setup = 0.0
        self._restarts = 0
        self._wake, self._woken = os.pipe()
        self._stopping = False
        self._thread = threading.Thread(target=self._supervise, name=group.name)

    @property
    def name(self) -> str:
        """The part of the exporter that it is."""
        return self._group.name

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
        """Return the fresh values, and the failures by collector."""
        now = time.monotonic()
        by_name: dict[str, Family] = {}
        with self._lock:
            for collector in self._collectors.values():
                value = self._values.get(collector.name)
                if value is None or not (
                    now - value.at <= SERVED_FOR * collector.every + self._setup
                    or (collector.hung is not None and collector.name in self._hung)
                ):
                    continue
                for name, samples in value.samples.items():
                    metric = collector.metrics[name]
                    before = by_name[name].samples if name in by_name else ()
                    every = [*before, *samples]
                    by_name[name] = Family(name, metric.kind, metric.help, every)
            restarts = float(self._restarts)
        name = "watchroom_exporter_child_restarts_total"
        text = "Restarts of a process that asks for the exporter, by group."
        labels = (("group", self.name),)
        restarted = Family(name, "counter", text, [Sample(name, labels, restarts)])
        errors = self._errors.family()
        return [*by_name.values(), restarted, *([errors] if errors.samples else [])]

    def _supervise(self) -> None:
        pause = _BACKOFF[0]
        while not self._stopping:
            self._broken = self._ready = False
            try:
                self._run_child()
            except (OSError, WatchroomError) as error:
                self._failures.count(self.name, error)
            else:
                if not self._collectors and not self._broken:
                    return  # there is nothing to ask
            if self._ready:  # one function hung: the others should not wait for it
                pause = _BACKOFF[0]
            else:  # nobody can be asked: who hung before may not hang now
                self._hung.clear()
            self._sleep(pause)
            pause = min(2 * pause, _BACKOFF[1])
            self._restarts += 1

    def _run_child(self) -> None:
        self._spawned = time.monotonic()
        child = subprocess.Popen(  # noqa: S603 - a module of ours
            [*_COMMAND, self._group.module],
            env=self._environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A process group: what a function started goes with it.
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
            raise _ChildError(f"the process ended with code {code}")

    def _listen(self, output: int) -> None:
        pending = b""
        asking: _Collector | None = None
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
                raise FormatError("the process sent an endless line")
            for line in lines:
                asking = self._receive(_message(line), asking)
                deadline = time.monotonic() + asking.limit if asking else None

    def _receive(
        self, message: dict[str, Any], asking: _Collector | None
    ) -> _Collector | None:
        """Take one message in; return what is being asked now."""
        now = time.monotonic()
        if "ready" in message:
            self._introduce(
                [_collector(description) for description in message["ready"]]
            )
        elif "broken" in message:
            self._broken = True
            self._failures.count(self.name, f"{message['broken']} {message['text']}")
        elif "failed" in message:
            self._broken = True
            text = f"django.setup() failed: {message['failed']}"
            self._failures.count(self.name, text)
        elif "begin" in message:
            self._begun[message["begin"]] = now
            return self._collectors[message["begin"]]
        elif "value" in message and asking is not None:
            self._keep(asking, message["samples"], now)
            self._hung.pop(asking.name, None)
            self._errors.clear(asking.name)
        elif "error" in message and asking is not None:
            self._hung.pop(asking.name, None)
            self._errors.count(asking.name, message["text"])
        return None

    def _introduce(self, collectors: Sequence[_Collector]) -> None:
        with self._lock:
            self._collectors = {collector.name: collector for collector in collectors}
            self._setup = time.monotonic() - self._spawned
        self._ready = bool(collectors)
        for collector in collectors:
            self._errors.show(collector.name)
        if not self._broken:
            self._failures.clear(self.name)

    def _keep(
        self, collector: _Collector, values: Mapping[str, list[Any]], now: float
    ) -> None:
        samples = {
            name: _samples(collector.metrics[name], numbers)
            for name, numbers in values.items()
        }
        with self._lock:
            self._values[collector.name] = _Value(now, samples)

    def _hang(self, asking: _Collector | None) -> None:
        if asking is None:
            raise _ChildError(f"django.setup() took more than {SETUP_SECONDS:g} s")
        self._punish(asking, f"no value within {asking.limit:g} s")
        raise _ChildError(f"{asking.name} hung; its process was killed")

    def _punish(self, collector: _Collector, text: str) -> None:
        self._errors.count(collector.name, text)
        self._hung[collector.name] = self._hung.get(collector.name, 0) + 1
        if collector.hung is not None:
            self._keep(collector, collector.hung, time.monotonic())

    def _waits(self) -> dict[str, float]:
        """Return how long the next child should leave each collector alone.

        In the order in which those that are due should be asked: what hung comes last.
        """
        now = time.monotonic()
        waits = {}
        order = sorted(
            self._begun.items(), key=lambda item: (item[0] in self._hung, item[1])
        )
        for name, begun in order:
            collector = self._collectors.get(name)
            every = collector.every if collector else 0.0
            # What a hang means is worth knowing to the second: no longer wait for it.
            hung = (
                0
                if collector and collector.hung is not None
                else self._hung.get(name, 0)
            )
            penalty = min(every * 2**hung, _LONGEST_PENALTY)
            waits[name] = max(0.0, begun + max(every, penalty) - now)
        return waits

    def _sleep(self, seconds: float) -> None:
        if not self._stopping:
            select.select([self._wake], [], [], seconds)


def _collector(description: Mapping[str, Any]) -> _Collector:
    metrics = {
        metric["name"]: _Metric(
            metric["name"], metric["kind"], metric["help"], tuple(metric["labels"])
        )
        for metric in description["metrics"]
    }
    every, limit = description["every"], description["limit"]
    return _Collector(description["name"], every, limit, metrics, description["hung"])


def _samples(metric: _Metric, numbers: Sequence[Any]) -> list[Sample]:
    return [
        Sample(
            metric.name,
            tuple(sorted(zip(metric.labels, values, strict=True))),
            float(number),
        )
        for values, number in numbers
    ]


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise FormatError(f"the process sent an unexpected line: {line[:80]!r}")
    return message
