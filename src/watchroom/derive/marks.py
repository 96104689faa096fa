"""What dashboards mark on their time axis: alerts that fire, and deployments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.derive import selectors
from watchroom.formats.grafana import Annotation, Annotations
from watchroom.urgency import FOR_PEOPLE, NO_DRILLS

if TYPE_CHECKING:
    from watchroom.derive.plan import Plan

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_ALERTS = "ALERTS"
_FIRING = f'{_ALERTS}{{alertstate="firing",{FOR_PEOPLE}}}'
_RELEASE = f"watchroom_release_info{{{NO_DRILLS}}}"
# Five minutes wide, so that Prometheus' largest answer of 11,000 points still has one
# in a month; the first release ever and one that comes back at once are no deployment.
_BEFORE = f"(last_over_time({_RELEASE}[10m] offset 5m))"
_DEPLOYED = (
    f"group by (release) ({_RELEASE})"
    f" unless on (release) group by (release) {_BEFORE}"
    f" and on () group {_BEFORE}"
)


def marks(plan: Plan) -> Annotations:
    """Return the annotations of a plan's dashboards: its alerts and releases."""
    own = ",".join(f'{name}="{value}"' for name, value in plan.labels.items())

    def extra(name: str) -> str:
        return own if name == _ALERTS else plan.site.inputs.select

    def narrowed(expr: str) -> str:
        return selectors.narrow(expr, extra, "the dashboards' marks")

    return Annotations(
        [
            Annotation(
                name="Alerts",
                datasource=_SOURCE,
                expr=narrowed(_FIRING),
                titleFormat="{{alertname}}",
                textFormat="{{severity}}",
                tagKeys="alertname,priority",
            ),
            Annotation(
                name="Deployments",
                datasource=_SOURCE,
                iconColor="blue",
                expr=narrowed(_DEPLOYED),
                step="60s",
                titleFormat="{{release}}",
                textFormat="deployed",
                tagKeys="release",
            ),
        ]
    )
