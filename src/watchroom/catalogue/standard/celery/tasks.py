"""Celery's tasks and who runs them: what fails, and whether anybody works."""

from __future__ import annotations

from watchroom.catalogue.model import Alert, Blind, Drill, Panel, Top, Vital
from watchroom.catalogue.prose import beside
from watchroom.catalogue.standard import below
from watchroom.catalogue.standard.celery import charts

TEXTS = beside(__name__)

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
            **TEXTS.alert("CeleryTaskFailed"),
            # Over with the task, if its series ends.
            expr=(
                f"sum by (job, name) (increase({_FAILED}[$window])) > $limit"
                f" and on (job, name) {_FAILED}"
            ),
            for_="0s",
            severity="warning",
            priority="P2",
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
    blind=Blind(**TEXTS.unseen("TasksUnobserved")),
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
            **TEXTS.alert("CeleryWorkersDown"),
            # Only where there is a broker to work for.
            expr=(
                f"sum by (job) ({_WORKERS}) == 0"
                " and on (job) count by (job) (celery_broker_up)"
            ),
            for_="2m",
            severity="critical",
            priority="P1",
            top=Top(
                "topk(3, max by (queue_name)"
                ' (celery_queue_length{job="$labels.job"}) > 0)',
                '{{ .Labels.queue_name }} ({{ .Value | printf "%.0f" }})',
                "Waiting: ",
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
    blind=Blind(**TEXTS.unseen("CeleryWorkersUnobserved"), priority="P2"),
)

CELERY_BROKER_DOWN = Vital(
    title="Celery broker up",
    metrics=("celery_broker_up",),
    group="celery",
    symptom_of=below.HOST,
    limit=1,
    needs="broker",
    alerts=(
        Alert(
            **TEXTS.alert("CeleryBrokerDown"),
            expr="min by (job, instance) (celery_broker_up) == 0",
            for_="1m",
            severity="critical",
            priority="P1",
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
