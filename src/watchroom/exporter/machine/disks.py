"""How full the file systems are that the project uses.

A file system that hangs, such as a dead NFS, hangs the thread that asks it, and nothing
can cut that. So each path is asked in a daemon thread of its own, one at a
time, and a scrape waits a fraction of a second at most, once.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from watchroom.catalogue.collected import (
    DISK_AVAILABLE,
    DISK_ERROR,
    DISK_READ_ONLY,
    DISK_SIZE,
)
from watchroom.formats.exposition import Family, Sample
from watchroom.runtime.filesystem import mount_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from watchroom.catalogue.metrics import Metric
    from watchroom.exporter.failures import Failures
    from watchroom.runtime.filesystem import Mount

MOST_PATHS = 64
HANGS_AFTER = 10.0  # seconds
_PATIENCE = 0.2


class MountLabels(NamedTuple):
    """Where a file system is mounted, as its series' labels name it."""

    mountpoint: str
    fstype: str
    device: str


class _DiskSpace(NamedTuple):
    device: str  # its number, the same under every bind mount
    mount: MountLabels
    available: float
    size: float
    read_only: bool


class _WatchedPath:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.room: _DiskSpace | None = None
        self.error = ""
        self.began = 0.0
        self.done = threading.Event()
        self.done.set()


class Disks:
    """Asks the file systems under some paths, each file system once.

    Args:
        paths: Files or directories; of what does not exist the nearest parent counts.
        failures: Where failures are counted.
        statvfs: Asks one path.
    """

    name = "disks"

    def __init__(
        self,
        paths: Iterable[Path],
        failures: Failures,
        statvfs: Callable[[Path], os.statvfs_result] = os.statvfs,
    ) -> None:
        unique = list(dict.fromkeys(paths))
        self._watched = [_WatchedPath(path) for path in unique[:MOST_PATHS]]
        self._failures = failures
        self._statvfs = statvfs
        self._lock = threading.Lock()
        for path in unique[MOST_PATHS:]:
            failures.count(
                self.name,
                f"{path} is left out: at most {MOST_PATHS} paths are monitored",
            )

    def families(self) -> list[Family]:
        """Return what is known; asks again whatever has answered."""
        now = time.monotonic()
        with self._lock:
            for watched in self._watched:
                if watched.done.is_set():
                    watched.done.clear()
                    watched.began = now
                    self._ask(watched)
            waiting = [w for w in self._watched if now - w.began < _PATIENCE]
        end = now + _PATIENCE
        for watched in waiting:
            watched.done.wait(max(0.0, end - time.monotonic()))
        return self._measured()

    def _ask(self, watched: _WatchedPath) -> None:
        def work() -> None:
            try:
                watched.room = self._look(watched.path)
                watched.error = ""
            except OSError as error:
                watched.error = f"{watched.path}: {error.strerror or error}"
            finally:
                watched.done.set()

        try:
            threading.Thread(target=work, name="disk", daemon=True).start()
        except RuntimeError:  # no more threads
            watched.error = f"{watched.path}: no free thread to check it"
            watched.done.set()

    def _look(self, path: Path) -> _DiskSpace:
        real = Path(os.path.realpath(path))
        while not real.exists() and real != real.parent:
            real = real.parent
        stat = self._statvfs(real)
        mount = mount_at(str(real))
        return _DiskSpace(
            # The mount's own number: files of one overlayfs or btrfs mount have others.
            device=mount.number or str(os.stat(real).st_dev),  # noqa: PTH116 - as its neighbours
            mount=_labels(mount),
            available=float(stat.f_bavail * stat.f_frsize),
            size=float(stat.f_blocks * stat.f_frsize),
            read_only=bool(stat.f_flag & os.ST_RDONLY),
        )

    def _measured(self) -> list[Family]:
        now = time.monotonic()
        by_device: dict[str, _DiskSpace] = {}
        errors: dict[MountLabels, float] = {}
        for watched in self._watched:
            hung = not watched.done.is_set() and now - watched.began > HANGS_AFTER
            error = f"{watched.path} doesn't respond" if hung else watched.error
            space = watched.room
            if error:
                # The table of mounts is the kernel's own and hangs on no file system.
                errors[space.mount if space else mount_of(str(watched.path))] = 1.0
                self._failures.count(self.name, error)
            elif space is not None:
                by_device.setdefault(space.device, space)
        # Mounted anew between two looks: one mount point, two numbers, one series.
        unique = {space.mount: space for space in by_device.values()}.values()
        for space in unique:
            errors.setdefault(space.mount, 0.0)
        if 1.0 not in errors.values() and errors:
            self._failures.clear(self.name)
        return [
            _family(DISK_AVAILABLE, [(r.mount, r.available) for r in unique]),
            _family(DISK_SIZE, [(r.mount, r.size) for r in unique]),
            _family(DISK_READ_ONLY, [(r.mount, float(r.read_only)) for r in unique]),
            _family(DISK_ERROR, list(errors.items())),
        ]


def mount_of(path: str) -> MountLabels:
    """Return what names the mount that holds an absolute path, from its text alone."""
    return _labels(mount_at(path))


def _labels(mount: Mount) -> MountLabels:
    return MountLabels(mount.mountpoint, mount.fstype, mount.device)


def _family(metric: Metric, values: Sequence[tuple[MountLabels, float]]) -> Family:
    samples = [
        Sample(metric.name, tuple(sorted(mount._asdict().items())), value)
        for mount, value in values
    ]
    return Family(metric.name, metric.kind, metric.help, samples)
