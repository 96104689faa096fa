"""Celery's queues as the broker shows them: how much waits, and for how long."""

from __future__ import annotations

from watchroom.catalogue.model import Alert, Blind, Drill, Panel, Top, Vital
from watchroom.catalogue.prose import beside
from watchroom.catalogue.standard import below
from watchroom.catalogue.standard.celery import charts

TEXTS = beside(__name__)

_LENGTH = "celery_queue_length"
_OLDEST = "celery_queue_oldest_seconds"
_QUEUE = '{queue_name="drill"}'

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
            **TEXTS.alert("CeleryBacklogHigh"),
            # max, not sum: every host's exporter sees the same queue.
            expr=f"max by (job, queue_name) ({_LENGTH}) > $limit",
            for_="5m",
            severity="warning",
            priority="P2",
            top=Top(
                "topk(3, sum by (name) (rate(celery_task_runtime_seconds_sum"
                '{job="$labels.job"}[$window])) > 0)',
                '{{ .Labels.name }} ({{ .Value | printf "%.1f" }} workers)',
                "Busy with: ",
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
        # When the broker can't be reached, CeleryBrokerDown fires instead.
        presence=(
            f"count({_LENGTH}{{$real}} or"
            " sum by (job) (celery_broker_up{$real}) == 0)"
        ),
        decimals=0,
    ),
    blind=Blind(**TEXTS.unseen("CeleryQueueUnobserved")),
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
            **TEXTS.alert("CeleryQueueStuck"),
            expr=f"max by (job, queue_name) ({_OLDEST}) > $limit",
            for_="1m",
            severity="warning",
            priority="P2",
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
