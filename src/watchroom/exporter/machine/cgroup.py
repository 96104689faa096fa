"""What a process' control group uses and may use: cgroup v2, v1, hybrid, or none.

Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
The working set is cAdvisor's: what is used, less the file cache that nobody touched
lately and that the kernel takes back first.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTAINER = re.compile(r"(?:[a-z-]+-)?([0-9a-f]{32,64})(?:\.scope)?")
_MEMORY = re.compile(r"^(MemTotal|MemAvailable):\s+(\d+) kB", re.MULTILINE)


class Use(NamedTuple):
    """Memory in bytes, CPU in seconds and cores; None for what is not known or bounded.

    Attributes:
        name: The group's: of its service, or its container's short id.
        working_set: At the level whose limit is nearest, so that both belong together.
        limit: Of that level; None without a limit below the machine's memory.
        cpu_seconds: Spent since the group exists.
        cpu_limit: In cores, the smallest on the way up.
    """

    name: str
    working_set: float | None
    limit: float | None
    cpu_seconds: float | None
    cpu_limit: float | None


class Machine(NamedTuple):
    """The memory of the machine in bytes; None for what the kernel does not report."""

    total: float | None
    available: float | None


class Cgroups:
    """Reads the control groups of processes."""

    def __init__(
        self, proc: Path = Path("/proc"), mount: Path = Path("/sys/fs/cgroup")
    ) -> None:
        self._proc = proc
        self._mount = mount

    def of(self, pid: int | str) -> Use | None:
        """Return the usage of a process' group; None where there is no group.

        Never raises: a process may end, and every file may be missing.
        """
        paths = self._paths(pid)
        if paths is None:
            return None
        if "memory" in paths:  # v1, or hybrid: the controller lives in one of the two
            memory = _Memory1(self._directories("memory", paths["memory"]))
            cpu = paths.get("cpu", "/")
            accounted = paths.get("cpuacct", cpu)
            use = Use(
                _name(paths["memory"]),
                *memory.nearest(self._most()),
                _cpu1(self._directories("cpuacct", accounted)),
                _cores1(self._directories("cpu", cpu)),
            )
        elif "" in paths:
            levels = self._levels(self._mount, paths[""])
            use = Use(
                _name(paths[""]),
                *_Memory2(levels).nearest(self._most()),
                _cpu2(levels),
                _cores2(levels),
            )
        else:
            return None
        # The root of a machine has no numbers of its own.
        return use if use.working_set is not None else None

    def machine(self) -> Machine:
        """Return the memory of the machine. Source: proc(5), /proc/meminfo."""
        text = _read(self._proc / "meminfo") or ""
        sizes = {name: float(kib) * 1024 for name, kib in _MEMORY.findall(text)}
        return Machine(sizes.get("MemTotal"), sizes.get("MemAvailable"))

    def _paths(self, pid: int | str) -> dict[str, str] | None:
        """Return the group's path by controller; v2's controller is ""."""
        text = _read(self._proc / str(pid) / "cgroup")
        if text is None:
            return None
        paths = {}
        for line in text.splitlines():
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            for controller in controllers.split(","):
                paths[controller] = path
        return paths

    def _directories(self, controller: str, path: str) -> list[Path]:
        for name in (controller, "cpu,cpuacct"):
            mount = self._mount / name
            if mount.is_dir():
                return self._levels(mount, path)
        return []

    def _levels(self, mount: Path, path: str) -> list[Path]:
        """Return the group's directory and those above it, up to the mount.

        A container often sees its own group as the mount, under the machine's path.
        """
        parts = [part for part in path.split("/") if part]
        if ".." in parts or not mount.joinpath(*parts).is_dir():
            return [mount]
        return [mount.joinpath(*parts[:end]) for end in range(len(parts), -1, -1)]

    def _most(self) -> float:
        return self.machine().total or float("inf")


class _Memory2:
    current, maximum, inactive = "memory.current", "memory.max", "inactive_file"

    def __init__(self, levels: list[Path]) -> None:
        self._levels = levels

    def nearest(self, machine: float) -> tuple[float | None, float | None]:
        """Return the use and the limit of the level that is fullest.

        Without a limit anywhere: the use of the group itself, and None.
        """
        own: float | None = None
        fullest: tuple[float, float] | None = None
        for level in self._levels:
            used = self._working_set(level)
            if used is None:
                continue
            own = used if own is None else own
            limit = self._limit(level)
            # "max", or v1's page-rounded 2^63, or more than there is: no limit.
            if limit is None or not 0 < limit < machine:
                continue
            if fullest is None or used / limit > fullest[0] / fullest[1]:
                fullest = used, limit
        return fullest or (own, None)

    def _working_set(self, level: Path) -> float | None:
        used = _number(level / self.current)
        if used is None:
            return None
        return max(0.0, used - _entry(level / "memory.stat", self.inactive))

    def _limit(self, level: Path) -> float | None:
        return _number(level / self.maximum)


class _Memory1(_Memory2):
    current, maximum = "memory.usage_in_bytes", "memory.limit_in_bytes"
    inactive = "total_inactive_file"

    def _limit(self, level: Path) -> float | None:
        limit = _number(level / self.maximum)
        # What is above a container's mount can be read only here.
        above = _entry(level / "memory.stat", "hierarchical_memory_limit")
        return min(limit, above) if limit is not None and above else limit


def _cpu2(levels: list[Path]) -> float | None:
    microseconds = _entry(levels[0] / "cpu.stat", "usage_usec")
    return microseconds / 1e6 if microseconds else None


def _cores2(levels: list[Path]) -> float | None:
    cores = []
    for level in levels:
        quota, _, period = (_read(level / "cpu.max") or "max 1").strip().partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            cores.append(int(quota) / int(period))
    return min(cores, default=None)


def _cpu1(levels: list[Path]) -> float | None:
    nanoseconds = _number(levels[0] / "cpuacct.usage") if levels else None
    return None if nanoseconds is None else nanoseconds / 1e9


def _cores1(levels: list[Path]) -> float | None:
    cores = []
    for level in levels:
        quota = _number(level / "cpu.cfs_quota_us")
        period = _number(level / "cpu.cfs_period_us")
        if quota is not None and period and quota > 0:
            cores.append(quota / period)
    return min(cores, default=None)


def _name(path: str) -> str:
    last = path.rstrip("/").rpartition("/")[2]
    if last in {"", ".."}:
        return "container"
    match = _CONTAINER.fullmatch(last)
    return match[1][:12] if match else last[:100]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _number(path: Path) -> float | None:
    try:
        return float(_read(path) or "")
    except ValueError:
        return None  # "max", or nothing at all


def _entry(path: Path, name: str) -> float:
    for key, value in _entries(_read(path) or ""):
        if key == name and value.isdigit():
            return float(value)
    return 0.0


def _entries(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        yield key, value
