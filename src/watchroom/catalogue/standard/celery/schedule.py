"""Celery's schedule: what should have run by itself and has not."""

# ruff: noqa: E501 - commands and queries of a runbook are copied as one line

from __future__ import annotations

from watchroom.catalogue.model import Alert, Blind, Drill, Panel, Runbook, Vital
from watchroom.catalogue.standard import below
from watchroom.catalogue.standard.celery import charts

_OVERDUE = "celery_beat_overdue_seconds"
_ENTRY = '{entry="drill"}'

SCHEDULED_TASK_OVERDUE = Vital(
    title="Latest scheduled task",
    charts=charts.SCHEDULE,
    metrics=(_OVERDUE,),
    group="celery",
    symptom_of=below.TASKS,
    unit="seconds",
    limit=60,
    needs="beat",
    alerts=(
        Alert(
            name="ScheduledTaskOverdue",
            # min: where beat and workers note their runs, one host knows best.
            expr=f"min by (job, entry) ({_OVERDUE}) > $limit",
            for_="1m",
            severity="warning",
            priority="P2",
            summary=(
                "The scheduled task {{ $labels.entry }} is "
                "{{ $value | humanizeDuration }} late"
            ),
            description=(
                "The entry {{ $labels.entry }} of the schedule should have run and no "
                "worker has begun it."
            ),
            runbook=Runbook(
                meaning=(
                    "By its own schedule the entry was due more than $limit_words ago, "
                    "and since then no worker has begun a run that beat published. An "
                    "entry that never ran is due since the exporter first saw it."
                ),
                impact=(
                    "What happens by itself does not: reminders, clean-ups, nightly "
                    "reports. Nothing else says so, because nothing failed."
                ),
                diagnosis=f"""\
One entry or all? All means that beat or the workers are dead:

```promql
max by (entry) ({_OVERDUE}) > 0
```

```promql
sum by (role) (watchroom_processes)
```

Did beat publish what no worker began? Then this is later than the last run:

```promql
time() - max by (entry) (celery_beat_last_published_timestamp_seconds)
```

```promql
time() - max by (entry) (celery_beat_last_run_timestamp_seconds)
```

```promql
max by (queue_name) (celery_queue_oldest_seconds)
```

```sh
pgrep -af 'celery.*beat' || echo 'no beat on this machine'
curl -s $exporter/metrics | grep '^celery_beat'
```
""",
                mitigation="""\
- Beat is dead: start it; it runs at once what is due.
- Beat lives and publishes, nobody begins: see CeleryWorkersDown and CeleryQueueStuck.
- Beat lost its schedule file with its container: it counts from its own start again.
  Keep the file on a volume.
- An entry of django-celery-beat that is not wanted now: disable it in the admin; it is
  no longer watched.
- Only one entry: its task's name or queue is wrong, or it expires before a worker is
  free.""",
            ),
            drill=Drill(
                labels={"entry": "drill"},
                fault=(f"{_OVERDUE}{_ENTRY} $above+0x$steps",),
                recovery=(f"{_OVERDUE}{_ENTRY} 0+0x$steps",),
                calm=(f"{_OVERDUE}{_ENTRY} $limit+0x$steps",),
            ),
        ),
    ),
    panel=Panel(
        expr=f"max(min by (job, entry) ({_OVERDUE}{{$real}}))",
        # A schedule that was read and holds nothing owes nothing.
        presence=(
            f"count({_OVERDUE}{{$real}}"
            " or sum by (job) (celery_beat_entries{$real}) == 0)"
        ),
        unit="s",
        decimals=0,
    ),
    blind=Blind(
        name="ScheduleUnobserved",
        priority="P2",
        why=(
            "The exporter reads the schedule in a process of its own, which must import "
            "the project, and with django-celery-beat asks the project's database. That "
            "process ended, found no schedule, or the database did not answer:\n\n"
            "```promql\nsum by (group) (watchroom_exporter_child_restarts_total)\n```\n\n"
            "```promql\n"
            'sum by (gauge) (watchroom_gauge_errors_total{gauge="celery_schedule"})\n```'
        ),
        remedy=(
            "- The database is down: see DatabaseDown. The schedule is read again as "
            "soon as it answers.\n"
            "- Its log says what does not import: correct that.\n"
            "- The schedule is new: restart the exporter, so that it reads it.\n"
            "- The schedule is gone for good: build the files again."
        ),
    ),
)

VITALS = (SCHEDULED_TASK_OVERDUE,)
