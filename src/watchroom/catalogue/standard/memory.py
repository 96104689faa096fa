"""Memory of the app against its container's limit, and what takes it."""

# ruff: noqa: E501 - commands and queries of a runbook are copied as one line

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
    Runbook,
    Vital,
)

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
            # The exporter tells of the machine where no limit holds for a process of
            # the app; a node_exporter's series have no name and judge other machines.
            f" or 1 - max {_BY} ({_AVAILABLE}{_MACHINE}) / on (job, instance, name)"
            f" (max {_BY} ({_TOTAL}{_MACHINE}) > 0)",
        ),
    ),
    alerts=(
        Alert(
            name="MemoryHigh",
            expr=f"{_RATIO} > $limit",
            for_="5m",
            severity="warning",
            priority="P2",
            summary=(
                "{{ $labels.name }} on {{ $labels.instance }} uses "
                "{{ $value | humanizePercentage }} of its memory"
            ),
            description=(
                "More than $limit_words of the memory that {{ $labels.name }} may use "
                "has been taken for $for_words. At 100% the kernel kills a process."
            ),
            runbook=Runbook(
                meaning=(
                    "Memory that the kernel cannot take back (use less idle file cache) "
                    "of the container or service in which the app's processes run, "
                    "against the limit that is nearest on the way up: more than "
                    "$limit_words for $for_words. `machine` stands for processes that "
                    "nothing limits: what is not available of the memory of the whole "
                    "machine, whoever took it."
                ),
                impact=(
                    "None yet. At the limit the kernel kills a worker in the middle of "
                    "its request; the requests it held count as `lost`."
                ),
                diagnosis=f"""\
How much, of how much:

```promql
{_USED}
```

```promql
{_LIMIT}
```

```promql
{_TOTAL}{_MACHINE} - {_AVAILABLE}{_MACHINE}
```

Which kind of process, and is it one or all of them?

```promql
sum by (role) ({_RESIDENT})
```

```promql
max by (role) (watchroom_process_resident_memory_max_bytes)
```

```promql
sum by (role) (watchroom_processes)
```

Rising for days is a leak; a step is a deploy or more workers:

```promql
deriv({_USED}[1h])
```

The largest processes of this machine:

```sh
ps -eo pid,rss,etime,args --sort=-rss | head -n 15
```
""",
                mitigation="""\
- One process far above the others: restart it; look at what its requests load at once.
- All of them grow: recycle workers (`--max-requests` of gunicorn,
  `--max-memory-per-child` of Celery) until the leak is found.
- More workers than the limit allows: start fewer, or raise the limit.
- Something else fills the machine: stop it, or give the app a limit of its own
  (`MemoryMax=` of systemd), so that each is killed for its own leak only.
- Killed already? `dmesg --ctime | grep -i 'killed process'`.""",
            ),
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
    blind=Blind(
        name="MemoryUnobserved",
        why=(
            "The app's processes live, and the exporter cannot look them up in /proc. "
            "It runs in another container, whose pids are others."
        ),
        remedy=(
            "- Run the exporter in the app's container, or let both share their pids "
            "(`shareProcessNamespace: true` of a pod, `pid: service:web` of Compose).\n"
            "- /proc is mounted with `hidepid`: run the exporter as the app's user."
        ),
    ),
    charts=(
        Chart(
            title="Memory against the limit",
            description=(
                "The working set of the app's containers or services, and the limit "
                "where there is one; what is taken of the machine's memory where not."
            ),
            row="Memory and CPU",
            queries=(
                Query(
                    f"max by (name) (max_over_time({_USED}{{$targets}}[$rate_interval]))",
                    "{{name}}",
                ),
                Query(
                    f"max by (name) (max_over_time({_LIMIT}{{$targets}}[$rate_interval]))",
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
            title="Memory by kind of process",
            description=(
                "Resident memory of all processes of a role together, and of its "
                "largest one; pages shared since a fork count for each."
            ),
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
            title="CPU by kind of process",
            description="Cores in use; where a limit is set, the limit.",
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
