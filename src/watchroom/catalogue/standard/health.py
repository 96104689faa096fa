"""Health as the app reports it: the checks behind /health/, hard and soft."""

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    ChecklistItem,
    Drill,
    Panel,
    Query,
    Vital,
)
from watchroom.catalogue.prose import beside
from watchroom.catalogue.standard import below

TEXTS = beside(__name__)

_STATUS = "health_check_status"
_DURATION = "health_check_duration_seconds"
_BY = "by (job, instance, check, kind)"


def _failing(kind: str) -> str:
    """Return what holds while a check fails in all processes, or in some of them.

    Each answer is another process's, so that what some say comes and goes. That it
    came more than once tells it from an outage that has ended.
    """
    status = f'{_STATUS}{{kind="{kind}"}}'
    return (
        f"min {_BY} ({status}) == 0"
        f" or min {_BY} (avg_over_time({status}[$window])) < 0.9"
        f" and max {_BY} (resets({status}[$window])) > 1"
    )


def _drill(kind: str) -> Drill:
    name = f'{_STATUS}{{check="drill",kind="{kind}"}}'
    other = {"hard": "soft", "soft": "hard"}[kind]
    return Drill(
        labels={"check": "drill", "kind": kind},
        fault=(f"{name} 0+0x$steps",),
        recovery=(f"{name} 1+0x$steps",),
        calm=(
            f"{name} 1+0x$steps",
            f'{_STATUS}{{check="other",kind="{other}"}} 0+0x$steps',
        ),
    )


HEALTH_CHECK_FAILING = Vital(
    title="Failing health checks",
    metrics=(_STATUS,),
    group="health",
    symptom_of=(*below.TASKS, "AppDown"),
    limit=0,
    needs="health",
    alerts=(
        Alert(
            **TEXTS.alert("HealthCheckFailing"),
            expr=_failing("hard"),
            for_="1m",
            severity="critical",
            priority="P1",
            drill=_drill("hard"),
        ),
        Alert(
            **TEXTS.alert("SoftHealthCheckFailing"),
            expr=_failing("soft"),
            for_="5m",
            severity="warning",
            priority="P2",
            drill=_drill("soft"),
        ),
    ),
    panel=Panel(
        expr=f"sum(1 - {_STATUS}{{$real}})",
        # While no process serves there is nobody to ask: AppDown says so.
        presence=(
            f"count({_STATUS}{{$real}} or health_livez{{$real}} == 0"
            ' or sum by (job) (watchroom_processes{$real,role="web"}) == 0)'
        ),
        decimals=0,
    ),
    blind=Blind(
        **TEXTS.unseen("HealthUnobserved"),
        priority="P2",
        seen=(f'{_STATUS}{{check="drill",kind="hard"}} 1+0x$steps',),
    ),
    charts=(
        Chart(
            **TEXTS.chart("Health check duration"),
            row="Health",
            queries=(
                Query(
                    "max by (check)"
                    f" (max_over_time({_DURATION}{{$targets}}[$rate_interval]))",
                    "{{check}}",
                ),
            ),
            unit="s",
        ),
    ),
    checklist=ChecklistItem("health-endpoint", "Health endpoint deployed and tested"),
)

VITALS = (HEALTH_CHECK_FAILING,)
