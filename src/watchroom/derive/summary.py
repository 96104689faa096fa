"""watchroom.json: what proofs need to know of a build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.derive.fast import copy_of
from watchroom.formats import manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchroom.derive.plan import Plan, PlannedAlert


def summary(plan: Plan, version: str, files: Mapping[str, str]) -> manifest.Manifest:
    """Return the manifest of a plan."""
    site = plan.site
    return manifest.Manifest(
        format=manifest.FORMAT,
        version=version,
        project=site.project,
        environment=site.environment,
        inputs=site.inputs,
        exporter=f"http://{site.exporter}",
        monitor_url=site.monitor_url,
        vitals=[
            manifest.Vital(
                name=vital.name,
                title=vital.vital.title,
                applicable=vital.applicable,
                alerts=[
                    manifest.ManifestAlert(
                        alert.name,
                        alert.expr,
                        alert.alert.for_,
                        alert.alert.severity,
                        alert.alert.priority,
                    )
                    for alert in vital.alerts
                ],
                panel=None if vital.panel is None else vital.panel.id,
                runbook=f"runbooks/{vital.name}.md",
            )
            for vital in plan.vitals
        ],
        drills=[
            _drill(alert, plan)
            for vital in plan.vitals
            for alert in vital.alerts
            if not alert.drill.exempt
        ],
        checklist=[
            manifest.ChecklistItem(
                vital.vital.checklist.id, vital.vital.checklist.title, vital.name
            )
            for vital in plan.vitals
            if vital.vital.checklist is not None
        ],
        receivers=[receiver.name for receiver in site.active_receivers],
        sites=list(site.sites),
        files=dict(sorted(files.items())),
        logs_url=site.logs_url,
        sentry_url=site.sentry_url,
    )


def _drill(alert: PlannedAlert, plan: Plan) -> manifest.Drill:
    copy = copy_of(plan, alert)
    return manifest.Drill(
        alert=alert.name,
        fault=list(alert.drill.fault),
        recovery=list(alert.drill.recovery),
        labels={**alert.drill.labels, **alert.labels},
        budget_seconds=alert.budget_seconds,
        accelerated=None
        if copy is None
        else manifest.Accelerated(copy.name, copy.expr, copy.for_, copy.budget_seconds),
    )
