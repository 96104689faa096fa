"""Celery's queues as the broker shows them: how much waits, and for how long."""

# ruff: noqa: E501 - commands and queries of a runbook are copied as one line

from __future__ import annotations

from watchroom.catalogue.model import Alert, Blind, Drill, Panel, Runbook, Top, Vital
from watchroom.catalogue.parameters import counted
from watchroom.catalogue.standard import below
from watchroom.catalogue.standard.celery import charts

_LENGTH = "celery_queue_length"
_OLDEST = "celery_queue_oldest_seconds"
_QUEUE = '{queue_name="drill"}'
_QUEUE_LOOK = f"""\
What waits, by queue, and for how long:

```promql
max by (queue_name) ({_LENGTH})
```

```promql
max by (queue_name) ({_OLDEST})
```

More than usual comes in, or less than usual goes out?

```promql
sum by (name) (rate(celery_task_succeeded_total[10m]))
```

```promql
sum by (role) (watchroom_processes)
```

How long the runs take now, and which tasks come again and again:

```promql
topk(5, sum by (name) (rate(celery_task_runtime_seconds_sum[10m])))
```

```promql
topk(5, sum by (name) (increase(celery_task_retried_total[10m])) > 0)
```

```sh
curl -s $exporter/metrics | grep -E '^celery_(queue|broker)|^watchroom_processes'
```
"""

CELERY_BACKLOG_HIGH = Vital(
    title="Waiting tasks",
    charts=charts.LENGTH,
    metrics=(_LENGTH,),
    group="celery",
    symptom_of=below.TASKS,
    limit=1000,
    needs="broker",
    alerts=(
        Alert(
            name="CeleryBacklogHigh",
            # max, not sum: every host's exporter sees the same queue.
            expr=f"max by (job, queue_name) ({_LENGTH}) > $limit",
            for_="5m",
            severity="warning",
            priority="P2",
            summary=f"{counted('task')} waiting in the queue {{{{ $labels.queue_name }}}}",
            description=(
                "More than $limit_words messages have waited in the queue "
                "{{ $labels.queue_name }} for $for_words."
            ),
            top=Top(
                'topk(3, sum by (name) (rate(celery_task_runtime_seconds_sum{job="$labels.job"}[$window])) > 0)',
                '{{ .Labels.name }} ({{ .Value | printf "%.1f" }} workers)',
                "Busy with: ",
            ),
            runbook=Runbook(
                meaning=(
                    "For $for_words more than $limit_words messages have waited in one "
                    "queue. They are counted at the broker, so it is seen with no "
                    "worker alive too."
                ),
                impact=(
                    "Everything behind them is late: mails, reports, webhooks. "
                    "Schedules that publish faster than workers work make it worse by "
                    "themselves."
                ),
                diagnosis=_QUEUE_LOOK,
                mitigation="""\
- No worker: see the runbook CeleryWorkersDown.
- Too few: start more, or raise their concurrency; mind the database's connections.
- One task floods the queue: stop what publishes it, then give it a queue of its own.
- Work that nobody needs any more: purge it, knowing that it is gone for good:
  `celery -A YOUR-PROJECT purge -Q QUEUE`.""",
            ),
            drill=Drill(
                labels={"queue_name": "drill"},
                fault=(f"{_LENGTH}{_QUEUE} $above+0x$steps",),
                recovery=(f"{_LENGTH}{_QUEUE} 0+0x$steps",),
                calm=(f"{_LENGTH}{_QUEUE} $limit+0x$steps",),
            ),
        ),
    ),
    panel=Panel(
        expr=f"max({_LENGTH}{{$real}})",
        # Of a broker that does not answer CeleryBrokerDown speaks.
        presence=(
            f"count({_LENGTH}{{$real}} or"
            " sum by (job) (celery_broker_up{$real}) == 0)"
        ),
        decimals=0,
    ),
    blind=Blind(
        name="CeleryQueueUnobserved",
        why=(
            "The exporter asks the broker in a process of its own, which must import "
            "the project. It ended, or found no Celery app:\n\n"
            "```promql\nsum by (group) (watchroom_exporter_child_restarts_total)\n```"
        ),
        remedy=(
            "- Its log says what does not import: correct that.\n"
            "- Celery is new: restart the exporter, so that it finds the app."
        ),
    ),
)

CELERY_QUEUE_STUCK = Vital(
    title="Oldest waiting task",
    charts=charts.OLDEST,
    metrics=(_OLDEST,),
    group="celery",
    symptom_of=below.TASKS,
    unit="seconds",
    limit=300,
    needs="broker",
    alerts=(
        Alert(
            name="CeleryQueueStuck",
            expr=f"max by (job, queue_name) ({_OLDEST}) > $limit",
            for_="1m",
            severity="warning",
            priority="P2",
            summary=(
                "A task has waited {{ $value | humanizeDuration }} in the queue "
                "{{ $labels.queue_name }}"
            ),
            description=(
                "The oldest message of the queue {{ $labels.queue_name }} has waited "
                "longer than $limit_words, however few there are."
            ),
            runbook=Runbook(
                meaning=(
                    "The oldest message of a queue was published more than "
                    "$limit_words ago and no worker has taken it. Redis and folders "
                    "can be looked into; for other brokers there is no age, and only "
                    "the length is watched."
                ),
                impact=(
                    "Whoever waits for it waits in vain. Usually the queue has no "
                    "consumer: a worker without `-Q` for it, or one that hangs."
                ),
                diagnosis=_QUEUE_LOOK
                + """
Does any worker listen to this queue?

```sh
pgrep -af 'celery.*worker' || echo 'no worker on this machine'
```
""",
                mitigation="""\
- Nobody listens: start a worker with `-Q QUEUE`, or correct the route that leads there.
- A worker hangs: restart it; a time limit (`task_time_limit`) ends the next hang.
- All are busy with long tasks: give those a queue and workers of their own.""",
            ),
            drill=Drill(
                labels={"queue_name": "drill"},
                fault=(f"{_OLDEST}{_QUEUE} $above+0x$steps",),
                recovery=(f"{_OLDEST}{_QUEUE} 0+0x$steps",),
                calm=(f"{_OLDEST}{_QUEUE} $limit+0x$steps",),
            ),
        ),
    ),
)

VITALS = (CELERY_BACKLOG_HIGH, CELERY_QUEUE_STUCK)
