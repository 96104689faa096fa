"""Celery's schedule: what should have run by itself and has not."""

from __future__ import annotations

from watchroom.catalogue.model import Alert, Blind, Drill, Panel, Vital
from watchroom.catalogue.prose import beside
from watchroom.catalogue.standard import below
from watchroom.catalogue.standard.celery import charts

TEXTS = beside(__name__)

_OVERDUE = "celery_beat_overdue_seconds"
_ENTRY = '{entry="drill"}'

SCHEDULED_TASK_OVERDUE = Vital(
    title="Scheduled task delay",
    charts=charts.SCHEDULE,
    metrics=(_OVERDUE,),
    group="celery",
    symptom_of=below.TASKS,
    unit="seconds",
    limit=60,
    needs="beat",
    alerts=(
        Alert(
            **TEXTS.alert("ScheduledTaskOverdue"),
            # min: where beat and workers note their runs, one host knows best.
            expr=f"min by (job, entry) ({_OVERDUE}) > $limit",
            for_="1m",
            severity="warning",
            priority="P2",
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
    blind=Blind(**TEXTS.unseen("ScheduleUnobserved"), priority="P2"),
)

VITALS = (SCHEDULED_TASK_OVERDUE,)
