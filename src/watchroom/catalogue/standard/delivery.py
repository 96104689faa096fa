"""Delivery: do receivers accept the pages?"""

from __future__ import annotations

from watchroom.catalogue.model import (
    Alert,
    Blind,
    Chart,
    Drill,
    Panel,
    Query,
    Vital,
)
from watchroom.catalogue.prose import beside

TEXTS = beside(__name__)

_FAILED = "alertmanager_notifications_failed_total"
# The receipts of drills are sent to the exporter; while it is down they fail, and no
# page of anybody does.
_PAGES = 'receiver_name!="drill"'
_DRILL = f'{_FAILED}{{integration="webhook",receiver_name="drilled"}}'

NOTIFICATION_FAILING = Vital(
    title="Undelivered pages",
    metrics=(_FAILED,),
    group="watch",
    limit=0,
    charts=(
        Chart(
            **TEXTS.chart("Notifications"),
            row="Monitoring",
            queries=(
                Query(
                    "sum by (integration)"
                    f" (increase(alertmanager_notifications_total{{$targets,{_PAGES}}}"
                    "[$rate_interval]))",
                    "{{integration}}",
                ),
                Query(
                    "sum by (integration)"
                    f" (increase({_FAILED}{{$targets,{_PAGES}}}[$rate_interval]))",
                    "{{integration}} failed",
                ),
            ),
            decimals=0,
        ),
    ),
    alerts=(
        Alert(
            **TEXTS.alert("NotificationFailing"),
            # Alertmanager counts by integration; the embedded monitor also says whose.
            expr=(
                "sum by (job, integration, receiver_name)"
                f" (increase({_FAILED}{{{_PAGES}}}[$window])) > $limit"
                # Over with the receiver, if that is taken out of the file.
                f" and on (job, integration, receiver_name) {_FAILED}"
            ),
            for_="0s",
            severity="critical",
            priority="P1",
            drill=Drill(
                labels={"integration": "webhook", "receiver_name": "drilled"},
                fault=(f"{_DRILL} 0+$rise",),
                recovery=(f"{_DRILL} stale",),
                calm=(
                    f"{_DRILL} 7+0x$steps",
                    (
                        f'{_FAILED}{{integration="webhook",receiver_name="drill"}}'
                        " 0+1x$steps"
                    ),
                ),
            ),
        ),
    ),
    panel=Panel(
        expr=f"sum(increase({_FAILED}{{$real,{_PAGES}}}[$window]))",
        # Any counter shows that deliveries are counted, even if only drills are sent.
        presence=f"count({_FAILED}{{$real}})",
        decimals=0,
    ),
    blind=Blind(
        **TEXTS.unseen("NotificationsUnobserved"), job="alertmanager", priority="P2"
    ),
)

VITALS = (NOTIFICATION_FAILING,)
