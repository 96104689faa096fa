"""Room on the file systems that the project uses."""

# ruff: noqa: E501 - commands and queries of a runbook are copied as one line

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    Drill,
    Panel,
    Query,
    Record,
    Runbook,
    Vital,
)

_BY = "(job, instance, mountpoint, device)"
_FREE = "job_instance_mountpoint:node_filesystem_avail:ratio"
_DRILL = '{mountpoint="/drill",device="/dev/drill",fstype="ext4"}'
_OTHER = '{mountpoint="/ro",device="/dev/ro",fstype="squashfs"}'

DISK_SPACE_LOW = Vital(
    title="Disk space free",
    metrics=(
        "node_filesystem_avail_bytes",
        "node_filesystem_size_bytes",
        "node_filesystem_readonly",
        "node_filesystem_device_error",
    ),
    group="host",
    unit="share",
    limit=0.1,
    records=(
        Record(
            _FREE,
            # The guard stands in parentheses of its own: `a / b > 0` would filter the
            # ratio, and a disk with nothing left would vanish from the rule.
            f"min by {_BY} (node_filesystem_avail_bytes"
            " / (node_filesystem_size_bytes > 0))"
            f" unless on {_BY} max by {_BY} (node_filesystem_readonly) == 1",
        ),
    ),
    alerts=(
        Alert(
            name="DiskSpaceLow",
            expr=f"{_FREE} < $limit",
            for_="5m",
            severity="warning",
            priority="P2",
            summary=(
                "{{ $value | humanizePercentage }} of {{ $labels.mountpoint }} on "
                "{{ $labels.instance }} is free"
            ),
            description=(
                "Less than $limit_words of the file system {{ $labels.mountpoint }} "
                "({{ $labels.device }}) has been free for $for_words."
            ),
            runbook=Runbook(
                meaning=(
                    "A file system that the project uses (code, media, static files, "
                    "SQLite, logs, temporary files, process files) has less than "
                    "$limit_words left for the app. Read-only ones do not count."
                ),
                impact=(
                    "None yet. When it is full uploads fail, logs are lost, SQLite and "
                    "PostgreSQL stop writing, and new workers may not start."
                ),
                diagnosis="""\
Which ones, and how fast: below zero in a day's time?

```promql
min by (instance, mountpoint) (node_filesystem_avail_bytes)
```

```promql
predict_linear(node_filesystem_avail_bytes[1h], 86400) < 0
```

What takes the room, and what was deleted and is still held open:

```sh
df -h
du -xh --max-depth=2 MOUNTPOINT 2>/dev/null | sort -h | tail -n 20
lsof -nP +L1 2>/dev/null | head -n 20
```
""",
                mitigation="""\
- Logs: `journalctl --vacuum-size=500M`; rotate what the app writes itself.
- Old releases, caches, core dumps: delete them; restart what holds deleted files.
- Uploads or a database that grows: extend the volume before it is full.
- A tmpfs: raise its size, `mount -o remount,size=… MOUNTPOINT`.""",
            ),
            drill=Drill(
                labels={"mountpoint": "/drill", "device": "/dev/drill"},
                # Full to the last byte: the case that the textbook rule misses.
                fault=(
                    f"node_filesystem_avail_bytes{_DRILL} 0+0x$steps",
                    f"node_filesystem_size_bytes{_DRILL} 1000000+0x$steps",
                    f"node_filesystem_readonly{_DRILL} 0+0x$steps",
                ),
                recovery=(
                    f"node_filesystem_avail_bytes{_DRILL} 1000000+0x$steps",
                    f"node_filesystem_size_bytes{_DRILL} 1000000+0x$steps",
                ),
                calm=(
                    f"node_filesystem_avail_bytes{_DRILL} 110000+0x$steps",
                    f"node_filesystem_size_bytes{_DRILL} 1000000+0x$steps",
                    f"node_filesystem_readonly{_DRILL} 0+0x$steps",
                    f"node_filesystem_avail_bytes{_OTHER} 0+0x$steps",
                    f"node_filesystem_size_bytes{_OTHER} 1000000+0x$steps",
                    f"node_filesystem_readonly{_OTHER} 1+0x$steps",
                ),
            ),
        ),
        Alert(
            name="DiskNotAnswering",
            expr=(
                "max by (job, instance, mountpoint) (node_filesystem_device_error) == 1"
            ),
            for_="2m",
            severity="warning",
            priority="P2",
            summary="{{ $labels.mountpoint }} on {{ $labels.instance }} does not answer",
            description=(
                "Asked how full it is, the file system {{ $labels.mountpoint }} has "
                "answered with an error, or not at all, for $for_words."
            ),
            runbook=Runbook(
                meaning=(
                    "The exporter asks each file system that the project uses for its "
                    "room. This one fails, or hangs whoever asks it: a dead NFS server, "
                    "a broken disk, a directory that the exporter may not enter."
                ),
                impact=(
                    "Requests that touch it hang or fail, and take their workers along."
                ),
                diagnosis="""\
Which one:

```promql
node_filesystem_device_error == 1
```

Ask it yourself, with a limit, and what the kernel says:

```sh
timeout 5 stat -f MOUNTPOINT || echo "no answer"
grep MOUNTPOINT /proc/self/mountinfo
dmesg --ctime | grep -i -E 'nfs|i/o error|not responding' | tail
```

Processes that hang in it are in state D:

```sh
ps -eo stat,pid,wchan:20,args | grep '^D' | head
```
""",
                mitigation="""\
- The NFS server is gone: bring it back, or `umount -f -l MOUNTPOINT` and restart what
  hung in it.
- An I/O error: take the volume out of use before it does more harm; restore it.
- No permission: run the exporter as the app's user.""",
            ),
            drill=Drill(
                labels={"mountpoint": "/drill"},
                fault=(f"node_filesystem_device_error{_DRILL} 1+0x$steps",),
                recovery=(f"node_filesystem_device_error{_DRILL} 0+0x$steps",),
                calm=(f"node_filesystem_device_error{_DRILL} 0+0x$steps",),
            ),
        ),
    ),
    panel=Panel(
        expr=f"min({_FREE}{{$real}})",
        presence="count(node_filesystem_avail_bytes{$real})",
        unit="percentunit",
        bad="below",
        decimals=0,
    ),
    blind=Blind(
        name="DiskUnobserved",
        why=(
            "The exporter tells of no file system at all: each of them fails "
            "(DiskNotAnswering says which), or the exporters run with --shared only."
        ),
        remedy="- Run one exporter without --shared, or with --local, on each host.",
    ),
    charts=(
        Chart(
            title="Disk space free",
            description="The share left for the app; DiskSpaceLow fires below $limit_words.",
            row="Disks and certificates",
            queries=(
                Query(
                    "min by (instance, mountpoint)"
                    " (min_over_time(node_filesystem_avail_bytes{$targets}"
                    "[$rate_interval])"
                    " / (max_over_time(node_filesystem_size_bytes{$targets}"
                    "[$rate_interval]) > 0))",
                    "{{instance}} {{mountpoint}}",
                ),
            ),
            unit="percentunit",
            limit="$limit",
            bad="below",
        ),
    ),
)

VITALS = (DISK_SPACE_LOW,)
