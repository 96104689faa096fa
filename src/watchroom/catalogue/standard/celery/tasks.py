"""Celery's tasks and who runs them: what fails, and whether anybody works."""

# ruff: noqa: E501 - commands and queries of a runbook are copied as one line

from __future__ import annotations

from watchroom.catalogue.model import Alert, Blind, Drill, Panel, Runbook, Top, Vital
from watchroom.catalogue.parameters import counted
from watchroom.catalogue.standard import below
from watchroom.catalogue.standard.celery import charts

_FAILED = "celery_task_failed_total"
_DRILL_TASK = f'{_FAILED}{{name="drill"}}'

CELERY_TASK_FAILED = Vital(
    title="Failed tasks",
    charts=charts.TASKS,
    metrics=(_FAILED,),
    group="celery",
    symptom_of=(*below.TASKS, "HealthCheckFailing"),
    limit=0,
    window="10m",
    needs="celery",
    alerts=(
        Alert(
            name="CeleryTaskFailed",
            # Over with the task, if its series ends.
            expr=(
                f"sum by (job, name) (increase({_FAILED}[$window])) > $limit"
                f" and on (job, name) {_FAILED}"
            ),
            for_="0s",
            severity="warning",
            priority="P2",
            summary="The task {{ $labels.name }} failed",
            description=(
                f"{counted('run')} of the Celery task "
                "{{ $labels.name }} failed in the last $window_words: it raised, went "
                "over its time limit, or its process was killed."
            ),
            runbook=Runbook(
                meaning=(
                    "At least one run of a task ended in a failure in the last "
                    "$window_words. Retries don't count; the final failure does. "
                    "`unregistered` are messages for a task that no worker knows, "
                    "`unreadable` are messages that no task can be made of."
                ),
                impact=(
                    "What the task does was not done, and nobody was told: a mail is "
                    "not sent, a report is missing, a payment is not booked."
                ),
                diagnosis=f"""\
Which tasks, and since when:

```promql
topk(10, sum by (name) (increase({_FAILED}[1h])) > 0)
```

Every run or some? Everything at once points at a dependency or a deploy:

```promql
sum by (name) (rate(celery_task_succeeded_total[10m]))
```

Retries that come before failures, and how long the runs take:

```promql
topk(10, sum by (name) (increase(celery_task_retried_total[1h])) > 0)
```

```promql
histogram_quantile(0.95, sum by (name, le) (rate(celery_task_runtime_seconds_bucket[15m])))
```

```sh
curl -s $exporter/metrics | grep '^celery_task_failed_total' | grep -v ' 0$'
```

The traceback is in the worker's log and in your error tracker. Killed processes leave
`WorkerLostError` there, and a line of the kernel when memory ran out:

```sh
dmesg --ctime | grep -i -E 'killed process|out of memory' | tail
```
""",
                mitigation="""\
- Began with a deploy: roll it back; `unregistered` means workers run other code than
  the web.
- A dependency is down: bring it back, then run again what failed; tasks that retry do so
  by themselves.
- Time limits or memory: give the task its own queue and a worker with more of it.
- Note which runs failed before you restart anything: the broker has forgotten them.""",
            ),
            drill=Drill(
                labels={"name": "drill"},
                fault=(f"{_DRILL_TASK} 0+$rise",),
                recovery=(f"{_DRILL_TASK} stale",),
                calm=(f"{_DRILL_TASK} 7+0x$steps", "up 1+0x$steps"),
            ),
        ),
    ),
    panel=Panel(
        expr=f"sum(increase({_FAILED}{{$real}}[$window]))",
        # Before the first worker there is nobody to count; CeleryWorkersDown says so.
        presence=(
            f"count({_FAILED}{{$real}}"
            ' or sum by (job) (watchroom_processes{$real,role="worker"}) == 0)'
        ),
        decimals=0,
    ),
    blind=Blind(
        name="TasksUnobserved",
        why=(
            "Workers live and none counts its tasks. `watchroom` is missing in "
            "INSTALLED_APPS of their settings, or the instrument failed:\n\n"
            "```promql\nsum by (instrument) (watchroom_instrument_errors_total)\n```"
        ),
        remedy=(
            "- Errors of the instrument `celery`: the worker's log has the first.\n"
            "- The workers are older than watchroom: restart them."
        ),
    ),
)

_WORKERS = 'watchroom_processes{role="worker"}'

CELERY_WORKERS_DOWN = Vital(
    title="Task workers",
    charts=charts.WORKERS,
    metrics=("watchroom_processes", "celery_broker_up"),
    group="celery",
    symptom_of=(*below.HOST, "CeleryBrokerDown"),
    limit=1,
    needs="broker",
    alerts=(
        Alert(
            name="CeleryWorkersDown",
            # Only where there is a broker to work for.
            expr=(
                f"sum by (job) ({_WORKERS}) == 0"
                " and on (job) count by (job) (celery_broker_up)"
            ),
            for_="2m",
            severity="critical",
            priority="P1",
            summary="No Celery worker of {{ $labels.job }} runs",
            description=(
                "Queues are configured and no process on any host has run tasks for "
                "$for_words."
            ),
            top=Top(
                'topk(3, max by (queue_name) (celery_queue_length{job="$labels.job"}) > 0)',
                '{{ .Labels.queue_name }} ({{ .Value | printf "%.0f" }})',
                "Waiting: ",
            ),
            runbook=Runbook(
                meaning=(
                    "Celery is configured, and for $for_words no process that runs "
                    "tasks has lived on any host. Of a prefork worker its children "
                    "count, not its main process."
                ),
                impact=(
                    "No mail, report or webhook leaves; everything waits in the "
                    "queues, and scheduled work does not happen."
                ),
                diagnosis="""\
Who lives, by role and host:

```promql
watchroom_processes
```

```promql
max by (queue_name) (celery_queue_length)
```

```sh
pgrep -af 'celery.*worker' || echo 'no worker on this machine'
journalctl -n 100 --no-pager -u YOUR-WORKER.service
```

Workers run and are not counted? They and the exporter use different runtime
directories (another user, PrivateTmp, another WATCHROOM_RUNTIME_DIR), or
WATCHROOM_ENABLED=0 is set.""",
                mitigation="""\
- Start the worker; if it will not start, roll back the last deploy.
- It dies at once: its log's last lines say why, most often an import or the broker's URL.
- Killed for memory: start it with a lower concurrency and `--max-memory-per-child`.""",
            ),
            drill=Drill(
                fault=(f"{_WORKERS} 0+0x$steps", "celery_broker_up 1+0x$steps"),
                recovery=(f"{_WORKERS} 2+0x$steps",),
                calm=(f"{_WORKERS} 1+0x$steps", "celery_broker_up 1+0x$steps"),
            ),
        ),
    ),
    panel=Panel(
        # No number without a broker, in Grafana either: there it would be a red 0.
        expr=(
            'sum(watchroom_processes{$real,role="worker"})'
            " and count(celery_broker_up{$real})"
        ),
        # Without a broker nobody knows whether workers are owed.
        presence="count(celery_broker_up{$real})",
        bad="below",
        decimals=0,
    ),
    blind=Blind(
        name="CeleryWorkersUnobserved",
        priority="P2",
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

CELERY_BROKER_DOWN = Vital(
    title="Task broker",
    metrics=("celery_broker_up",),
    group="celery",
    symptom_of=below.HOST,
    limit=1,
    needs="broker",
    alerts=(
        Alert(
            name="CeleryBrokerDown",
            expr="min by (job, instance) (celery_broker_up) == 0",
            for_="1m",
            severity="critical",
            priority="P1",
            summary="The Celery broker does not answer {{ $labels.instance }}",
            description=(
                "The exporter on {{ $labels.instance }} has not reached the broker for "
                "$for_words. The lengths of its queues are not known meanwhile."
            ),
            runbook=Runbook(
                meaning=(
                    "For $for_words every attempt to reach the broker was refused, "
                    "failed, or was not answered in time."
                ),
                impact=(
                    "Requests that publish a task hang or fail, workers get no work, "
                    "and what beat publishes is lost."
                ),
                diagnosis="""\
From which hosts, and since when:

```promql
celery_broker_up
```

```sh
curl -s $exporter/metrics | grep -E '^celery_broker_up|part="celery"'
redis-cli -u YOUR-BROKER-URL ping
```

The exporter's log names the kind of error. Are the requests that publish failing?

```promql
sum by (route) (rate(http_requests_total{status=~"5..|lost"}[5m])) > 0
```
""",
                mitigation="""\
- The server is dead: start it. Out of memory or disk: give it some before.
- It answers from elsewhere: look at the network and at its allowed clients.
- The password changed: deploy the new one to web, workers, beat and exporter.""",
            ),
            drill=Drill(
                fault=("celery_broker_up 0+0x$steps",),
                recovery=("celery_broker_up 1+0x$steps",),
                calm=("celery_broker_up 1+0x$steps",),
            ),
        ),
    ),
)

# The guide's table has failures; the rest stands after the table on the page.
TABLE = (CELERY_TASK_FAILED,)
VITALS = (CELERY_WORKERS_DOWN, CELERY_BROKER_DOWN)
