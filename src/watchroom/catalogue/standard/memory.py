"""Memory of the app against its container's limit, and what takes it."""

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    Drill,
    Otherwise,
    Panel,
    Query,
    Record,
    Vital,
)
from watchroom.catalogue.prose import beside

TEXTS = beside(__name__)

_USED, _LIMIT = (
    "container_memory_working_set_bytes",
    "container_spec_memory_limit_bytes",
)
_TOTAL, _AVAILABLE = (
    "node_memory_MemTotal_bytes",
    "node_memory_MemAvailable_bytes",
)
_BY = "by (job, instance, name)"
_MACHINE = '{name="machine"}'
_RATIO = "job_instance_name:container_memory:used_ratio"
_RESIDENT = "process_resident_memory_bytes"

MEMORY_HIGH = Vital(
    title="Memory",
    metrics=(_USED, _LIMIT, _TOTAL, _AVAILABLE, _RESIDENT),
    group="host",
    unit="share",
    limit=0.8,
    records=(
        Record(
            _RATIO,
            # Without a limit there is no series of it, and nothing to divide by.
            f"max {_BY} ({_USED}) / on (job, instance, name) max {_BY} ({_LIMIT} > 0)"
            # The exporter serves the machine's memory where a process of the app has no
            # limit; a node_exporter's series have no name and judge other machines.
            f" or 1 - max {_BY} ({_AVAILABLE}{_MACHINE}) / on (job, instance, name)"
            f" (max {_BY} ({_TOTAL}{_MACHINE}) > 0)",
        ),
    ),
    alerts=(
        Alert(
            **TEXTS.alert("MemoryHigh"),
            expr=f"{_RATIO} > $limit",
            for_="5m",
            severity="warning",
            priority="P2",
            drill=Drill(
                labels={"name": "drill"},
                fault=(
                    f'{_USED}{{name="drill"}} 1000000000+0x$steps',
                    f'{_LIMIT}{{name="drill"}} 1000000000+0x$steps',
                ),
                recovery=(
                    f'{_USED}{{name="drill"}} 1000000+0x$steps',
                    f'{_LIMIT}{{name="drill"}} 1000000000+0x$steps',
                ),
                calm=(
                    f'{_USED}{{name="drill"}} 790000000+0x$steps',
                    f'{_LIMIT}{{name="drill"}} 1000000000+0x$steps',
                    f'{_USED}{{name="unlimited"}} 9000000000+0x$steps',
                    f'{_USED}{{name="zero"}} 9000000000+0x$steps',
                    f'{_LIMIT}{{name="zero"}} 0+0x$steps',
                    f"{_TOTAL}{_MACHINE} 1000000000+0x$steps",
                    f"{_AVAILABLE}{_MACHINE} 210000000+0x$steps",
                    f"{_TOTAL} 1000000000+0x$steps",
                    f"{_AVAILABLE} 1000000+0x$steps",
                ),
            ),
        ),
    ),
    panel=Panel(
        expr=f"max({_RATIO}{{$real}})",
        presence=(
            f"count({_USED}{{$real}} or {_RESIDENT}{{$real}}"
            ' or sum by (job) (watchroom_processes{$real,role=~"web|worker"}) == 0)'
        ),
        otherwise=Otherwise(
            "no limit",
            f"sum({_USED}{{$real}}) or sum({_RESIDENT}{{$real}})",
            unit="bytes",
        ),
        unit="percentunit",
        decimals=0,
    ),
    blind=Blind(**TEXTS.unseen("MemoryUnobserved")),
    charts=(
        Chart(
            **TEXTS.chart("Memory use and limit"),
            row="Memory and CPU",
            queries=(
                Query(
                    "max by (name)"
                    f" (max_over_time({_USED}{{$targets}}[$rate_interval]))",
                    "{{name}}",
                ),
                Query(
                    "max by (name)"
                    f" (max_over_time({_LIMIT}{{$targets}}[$rate_interval]))",
                    "{{name}} limit",
                ),
                Query(
                    "max by (name, instance)"
                    f' (max_over_time({_TOTAL}{{$targets,name="machine"}}'
                    "[$rate_interval])"
                    f' - min_over_time({_AVAILABLE}{{$targets,name="machine"}}'
                    "[$rate_interval]))",
                    "{{name}} {{instance}}",
                ),
            ),
            unit="bytes",
        ),
        Chart(
            **TEXTS.chart("Memory by process role"),
            row="Memory and CPU",
            queries=(
                Query(
                    "sum by (role)"
                    f" (max_over_time({_RESIDENT}{{$targets}}[$rate_interval]))",
                    "{{role}}, all",
                ),
                Query(
                    "max by (role)"
                    " (max_over_time(watchroom_process_resident_memory_max_bytes"
                    "{$targets}[$rate_interval]))",
                    "{{role}}, largest",
                ),
            ),
            unit="bytes",
        ),
        Chart(
            **TEXTS.chart("CPU by process role"),
            row="Memory and CPU",
            queries=(
                Query(
                    "sum by (role)"
                    " (rate(process_cpu_seconds_total{$targets}[$rate_interval]))",
                    "{{role}}",
                ),
                Query(
                    "max by (name)"
                    " (max_over_time(container_cpu_limit_cores{$targets}"
                    "[$rate_interval]))",
                    "{{name}} limit",
                ),
            ),
            unit="suffix:cores",
            decimals=2,
        ),
    ),
)

VITALS = (MEMORY_HIGH,)
