"""What the app's live processes take of the machine: by role, and by container.

Whose processes: those that hold the lock of a process file, so that under prefork every
worker counts, and nothing else that happens to run. Memory is resident memory summed:
pages that workers share since their fork count for each of them. Where no limit holds
for one of them, the machine's memory is what it can run out of, and is served too.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from watchroom.catalogue.collected import (
    CPU_LIMIT,
    CPU_USED,
    MACHINE_AVAILABLE,
    MACHINE_MEMORY,
    MEMORY_LIMIT,
    MEMORY_USED,
    PROCESS_CPU,
    PROCESS_MEMORY,
    PROCESS_MEMORY_MAX,
)
from watchroom.exporter.machine.cgroup import Cgroups, Use
from watchroom.formats.exposition import Family, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from watchroom.catalogue.metrics import Metric

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class LiveProcess(NamedTuple):
    """A live process of the app.

    Attributes:
        pid: In our own namespace.
        role: ``web``, ``worker`` or ``command``.
    """

    pid: int
    role: str


class _Stat(NamedTuple):
    started: int
    cpu_seconds: float
    resident: float


class Workload:
    """The memory and CPU of the app's processes and of their control groups."""

    name = "workload"

    def __init__(
        self,
        live: Callable[[], Iterable[LiveProcess]],
        proc: Path = Path("/proc"),
        mount: Path = Path("/sys/fs/cgroup"),
    ) -> None:
        self._live = live
        self._proc = proc
        self._cgroups = Cgroups(proc, mount)
        self._lock = threading.Lock()
        self._last_cpu: dict[tuple[int, int], float] = {}
        # The dead keep counting: a sum that falls would be taken for a restart.
        self._cpu_by_role: dict[str, float] = {}

    def families(self) -> list[Family]:
        """Return what is used now; reads a few small files per process."""
        resident: dict[str, list[float]] = {}
        uses: dict[str, Use] = {}
        bounded = True
        now: dict[tuple[int, int], float] = {}
        with self._lock:
            for process in self._live():
                stat = _stat(self._proc / str(process.pid) / "stat")
                if stat is None:
                    continue
                resident.setdefault(process.role, []).append(stat.resident)
                key = process.pid, stat.started
                now[key] = stat.cpu_seconds
                more = max(0.0, stat.cpu_seconds - self._last_cpu.get(key, 0.0))
                self._cpu_by_role[process.role] = (
                    self._cpu_by_role.get(process.role, 0.0) + more
                )
                use = self._cgroups.of(process.pid)
                if use is not None:
                    uses.setdefault(use.name, use)
                bounded = bounded and use is not None and use.limit is not None
            self._last_cpu = now
            cpu_by_role = dict(self._cpu_by_role)
        return [
            *_families(uses),
            *([] if bounded else self._machine()),
            _family(PROCESS_MEMORY, {r: sum(sizes) for r, sizes in resident.items()}),
            _family(
                PROCESS_MEMORY_MAX, {r: max(sizes) for r, sizes in resident.items()}
            ),
            _family(PROCESS_CPU, cpu_by_role),
        ]

    def _machine(self) -> Iterable[Family]:
        machine = self._cgroups.machine()
        for metric, value in (
            (MACHINE_MEMORY, machine.total),
            (MACHINE_AVAILABLE, machine.available),
        ):
            if value is not None:
                yield _family(metric, {"machine": value})


def _families(uses: Mapping[str, Use]) -> Iterable[Family]:
    for metric, field in (
        (MEMORY_USED, "working_set"),
        (MEMORY_LIMIT, "limit"),
        (CPU_USED, "cpu_seconds"),
        (CPU_LIMIT, "cpu_limit"),
    ):
        values = {name: getattr(use, field) for name, use in uses.items()}
        known = {name: value for name, value in values.items() if value is not None}
        if known:
            yield _family(metric, known)


def _family(metric: Metric, values: Mapping[str, float]) -> Family:
    (label,) = metric.labels
    samples = [
        Sample(metric.name, ((label, key),), value)
        for key, value in sorted(values.items())
    ]
    return Family(metric.name, metric.kind, metric.help, samples)


def _stat(path: Path) -> _Stat | None:
    """Return a process' own numbers. Source: proc(5), /proc/pid/stat."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        # The command's name, in parentheses, may hold anything.
        fields = text.rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return _Stat(int(fields[19]), ticks / _TICKS, int(fields[21]) * float(_PAGE))
    except (OSError, ValueError, IndexError):
        return None
