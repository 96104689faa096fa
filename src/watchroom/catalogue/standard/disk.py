"""Room on the file systems that the project uses."""

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    Drill,
    Panel,
    Query,
    Record,
    Vital,
)
from watchroom.catalogue.prose import beside

TEXTS = beside(__name__)

_BY = "(job, instance, mountpoint, device)"
_FREE = "job_instance_mountpoint:node_filesystem_avail:ratio"
_DRILL = '{mountpoint="/drill",device="/dev/drill",fstype="ext4"}'
_OTHER = '{mountpoint="/ro",device="/dev/ro",fstype="squashfs"}'

DISK_SPACE_LOW = Vital(
    title="Free disk space",
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
            # The guard has parentheses of its own: `a / b > 0` would filter the
            # ratio, and a disk with nothing left would vanish from the rule.
            f"min by {_BY} (node_filesystem_avail_bytes"
            " / (node_filesystem_size_bytes > 0))"
            f" unless on {_BY} max by {_BY} (node_filesystem_readonly) == 1",
        ),
    ),
    alerts=(
        Alert(
            **TEXTS.alert("DiskSpaceLow"),
            expr=f"{_FREE} < $limit",
            for_="5m",
            severity="warning",
            priority="P2",
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
            **TEXTS.alert("DiskNotAnswering"),
            expr=(
                "max by (job, instance, mountpoint) (node_filesystem_device_error) == 1"
            ),
            for_="2m",
            severity="warning",
            priority="P2",
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
    blind=Blind(**TEXTS.unseen("DiskUnobserved")),
    charts=(
        Chart(
            **TEXTS.chart("Free disk space"),
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
