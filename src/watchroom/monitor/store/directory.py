"""The directory of the store: on a disk of this machine, and of one process."""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from watchroom.errors import StoreError

if TYPE_CHECKING:
    from typing import Self

# f_type of statfs(2), from the kernel's linux/magic.h.
_NETWORK = {
    0x6969: "nfs",
    0xFF534D42: "cifs",
    0xFE534D42: "smb2",
    0x517B: "smb",
    0x5346414F: "afs",
    0x73757245: "coda",
    0x00C36400: "ceph",
    0x01021997: "9p",
    0x0BD00BD0: "lustre",
    0x47504653: "gpfs",
    0x7461636F: "ocfs2",
}
_FUSE = 0x65735546
# Local disks come through FUSE too (ntfs-3g, overlays), so only these are refused.
_NETWORK_FUSE = {
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.glusterfs",
    "fuse.rclone",
    "fuse.gcsfuse",
    "fuse.goofys",
    "fuse.cephfs",
    "fuse.davfs",
}


def network_filesystem(path: Path) -> str:
    """Return the kind of network file system that `path` is on, or ""."""
    libc = ctypes.CDLL(None, use_errno=True)
    # struct statfs begins with f_type, a long, on every Linux.
    buffer = (ctypes.c_long * 64)()
    if libc.statfs(os.fsencode(path), buffer) != 0:
        return ""
    magic = buffer[0] & 0xFFFFFFFF
    if magic != _FUSE:
        return _NETWORK.get(magic, "")
    kind = _mounted_as(path)
    return kind if kind in _NETWORK_FUSE else ""


def _mounted_as(path: Path) -> str:
    """Return the type of the mount with the device number of `path`."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        # id parent major:minor root mount options … - type source options
        before, _, after = line.partition(" - ")
        if before.split(" ")[2] == wanted:
            return after.split(" ")[0]
    return ""


class DirectoryLock:
    """The store's directory, held against every other process while it is open.

    Raises:
        StoreError: It cannot be made or written, lies on a network file system, or
            another process holds it.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            kind = network_filesystem(path)
            if kind:
                raise StoreError(
                    f"{path} is on a network file system ({kind}), where neither "
                    "locks nor SQLite's log hold: choose a directory on a local disk"
                )
            self._handle = os.open(
                path / "samples.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise StoreError(
                f"{path} cannot hold the samples: {error.strerror}; "
                "choose a directory that this user may write"
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._handle, 32, 0).decode("ascii", "replace").strip()
            os.close(self._handle)
            raise StoreError(
                f"{path} is held by process {holder or 'unknown'}: stop that one, "
                "or choose another directory"
            ) from error
        self._note()

    def _note(self) -> None:
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            # The disk is full: the lock holds all the same, only the name is missing.
            return

    def close(self) -> None:
        """Give the directory up."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
