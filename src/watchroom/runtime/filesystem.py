"""What is mounted, and which of it other machines can see too.

Source: proc(5), /proc/pid/mountinfo: ``id parent major:minor root mountpoint options …
- type source options``. Standard library only: the web process reads it too.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

MOUNTINFO = Path("/proc/self/mountinfo")
_ESCAPES = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}
# flock on these is missing, slow or seen by other machines; local disks come through
# FUSE too (ntfs-3g, overlays), so only these of it are refused.
_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ceph", "glusterfs"),
        *("lustre", "afs", "coda", "9p", "gpfs", "ocfs2"),
        *("fuse.sshfs", "fuse.s3fs", "fuse.glusterfs", "fuse.rclone", "fuse.gcsfuse"),
        *("fuse.goofys", "fuse.ceph", "fuse.cephfs", "fuse.ceph-fuse", "fuse.davfs"),
    }
)


class Mount(NamedTuple):
    """Where a file system is attached.

    Attributes:
        number: Of its device, ``major:minor``: the same under every bind mount.
        mountpoint: An absolute path.
        fstype: ``ext4``, ``nfs4``, ``fuse.sshfs``.
        device: Its source, as mounted.
    """

    number: str
    mountpoint: str
    fstype: str
    device: str


def mounts() -> list[Mount]:
    """Return the mounts, in the order of mounting; empty without a mountinfo."""
    try:
        text = MOUNTINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    table = []
    for line in text.splitlines():
        fields, _, rest = line.partition(" - ")
        _, _, number, _, point, *_ = fields.split(" ")
        fstype, _, device = rest.partition(" ")
        source = _plain(device.split(" ")[0])
        table.append(Mount(number, _plain(point), fstype, source))
    return table


def mount_at(path: str) -> Mount:
    """Return the mount that holds an absolute path, from its text alone."""
    best = Mount("", "/", "", "")
    for mount in mounts():
        point = mount.mountpoint
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        # A later mount on the same directory hides the earlier one.
        if inside and len(point) >= len(best.mountpoint):
            best = mount
    return best


def network_filesystem(path: Path) -> str:
    """Return the kind of network file system that `path` is on, or "".

    Raises:
        OSError: The path does not exist.
    """
    kind = mount_at(str(path.resolve(strict=True))).fstype
    return kind if kind in _NETWORK else ""


def _plain(text: str) -> str:
    for escape, sign in _ESCAPES.items():
        text = text.replace(escape, sign)
    return text
