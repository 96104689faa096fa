"""Incidents opened by hand notify people as an alert of their priority does.

Each open one has an alert of its own, so routing, the ledger, repeats, escalation and
the links to acknowledge it work as for every other. It resolves with the incident.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from watchroom.monitor.alert import PAGE_LABEL, Alert, page_name, routed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from watchroom.monitor.oncall.incident import Incident
    from watchroom.monitor.oncall.incidents import Incidents

_SEVERITY = {"P1": "critical", "P2": "warning", "P3": "warning"}


def page_of(incident: Incident, external: Mapping[str, str], now_ms: int) -> Alert:
    """Return the alert of an incident opened by hand, resolved if that is.

    Args:
        incident: Opened by hand.
        external: The external labels, by which routes tell environments apart.
        now_ms: Now.
    """
    labels = {
        "alertname": page_name(incident.id),
        PAGE_LABEL: str(incident.id),
        "priority": incident.priority,
        "severity": _SEVERITY[incident.priority],
    }
    annotations = (
        ("description", f"Opened manually by {incident.opened_by}."),
        ("summary", incident.title),
    )
    return Alert(
        routed(labels, external),
        annotations,
        incident.opened_ms,
        None if incident.open else (incident.resolved_ms or now_ms),
        now_ms,
    )


class ManualAlerts:
    """Keeps routing's alerts in step with the incidents that people opened.

    Args:
        incidents: The incidents.
        submit: Takes alerts, as from rules: `Notifier.submit`.
        now_ms: Now.
    """

    def __init__(
        self,
        incidents: Incidents,
        submit: Callable[[Sequence[Alert]], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._incidents = incidents
        self._submit = submit
        self._now_ms = now_ms
        self._external: Mapping[str, str] = {}
        self._submitted: dict[int, Alert] = {}
        self._lock = threading.Lock()

    def changed(self, incident: Incident) -> None:
        """Submit an incident's alert after an action, if it was opened by hand."""
        if not incident.opened_by:
            return
        with self._lock:  # of two actions at once, the later counts
            self._submit_alert(self._incidents.get(incident.id) or incident)

    def renew(self, external: Mapping[str, str]) -> None:
        """Submit all: at the start, and when external labels may have changed."""
        with self._lock:
            self._external = dict(external)
            for incident in self._incidents.by_hand():
                self._submit_alert(incident)

    def _submit_alert(self, incident: Incident) -> None:
        now = self._now_ms()
        alert = page_of(incident, self._external, now)
        before = self._submitted.pop(incident.id, None)
        alerts = []
        if before is not None and before.fingerprint != alert.fingerprint:
            alerts.append(before._replace(ends_at_ms=now, updated_at_ms=now))
        if incident.open:
            self._submitted[incident.id] = alert
            if alert.fingerprint not in incident.own_alerts[-1:]:
                self._incidents.set_own_alert(incident.id, alert.fingerprint)
        self._submit([*alerts, alert])
