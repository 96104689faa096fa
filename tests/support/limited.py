"""`watchroom exporter` where one service has limits and the others have none.

Run as a program: the directory of a made-up tree of control groups, then the command.
What limits this machine has is its own affair, and a test cannot set them everywhere.
"""

from __future__ import annotations

import sys
from pathlib import Path

from watchroom.cli import main
from watchroom.exporter.machine import workload
from watchroom.exporter.machine.cgroup import Cgroups, Use

MIB = 1 << 20
TREE = {
    "proc/web/cgroup": "0::/system.slice/shop-web.service\n",
    "proc/other/cgroup": "0::/system.slice/shop-worker.service\n",
    "proc/meminfo": f"MemTotal: {8 << 20} kB\nMemAvailable: {6 << 20} kB\n",
    "cgroup/system.slice/shop-web.service/memory.current": f"{300 * MIB}\n",
    "cgroup/system.slice/shop-web.service/memory.max": f"{512 * MIB}\n",
    "cgroup/system.slice/shop-web.service/memory.stat": f"inactive_file {20 * MIB}\n",
    "cgroup/system.slice/shop-web.service/cpu.stat": "usage_usec 5000000\n",
    "cgroup/system.slice/shop-web.service/cpu.max": "200000 100000\n",
    "cgroup/system.slice/shop-worker.service/memory.current": f"{100 * MIB}\n",
    "cgroup/system.slice/shop-worker.service/memory.max": "max\n",
    "cgroup/system.slice/shop-worker.service/memory.stat": "inactive_file 0\n",
    "cgroup/system.slice/shop-worker.service/cpu.stat": "usage_usec 1000000\n",
}


class Limited(Cgroups):
    """The tree's groups: gunicorn's processes in one, all others in another."""

    def of(self, pid: int | str) -> Use | None:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        return super().of("web" if b"gunicorn" in command else "other")


def plant(root: Path) -> None:
    """Write the tree."""
    for path, text in TREE.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


if __name__ == "__main__":
    ROOT = Path(sys.argv.pop(1))
    plant(ROOT)
    # The exporter has no setting for where the kernel's files are.
    workload.Cgroups = lambda *_: Limited(ROOT / "proc", ROOT / "cgroup")
    main()
