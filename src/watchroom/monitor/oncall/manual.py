"""Incidents opened by hand notify people as an alert of their priority does.

Each open one is an alert of its own: routing, the ledger, repeats, escalation and the
links by which it is acknowledged are those of every other. It ends with the incident.
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
    """Return the alert of an incident opened by hand, ended if that is.

    Args:
        incident: It.
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
        self._said: dict[int, Alert] = {}
        self._lock = threading.Lock()

    def changed(self, incident: Incident) -> None:
        """Let routing know of an incident after an act; only of one opened by hand."""
        if not incident.opened_by:
            return
        with self._lock:  # of two acts at once the later one counts
            self._say(self._incidents.get(incident.id) or incident)

    def renew(self, external: Mapping[str, str]) -> None:
        """Tell routing of all: at the start, and when external labels may differ."""
        with self._lock:
            self._external = dict(external)
            for incident in self._incidents.by_hand():
                self._say(incident)

    def _say(self, incident: Incident) -> None:
        now = self._now_ms()
        alert = page_of(incident, self._external, now)
        before = self._said.pop(incident.id, None)
        said = []
        if before is not None and before.fingerprint != alert.fingerprint:
            said.append(before._replace(ends_at_ms=now, updated_at_ms=now))
        if incident.open:
            self._said[incident.id] = alert
            if alert.fingerprint not in incident.own_alerts[-1:]:
                self._incidents.pages_by(incident.id, alert.fingerprint)
        self._submit([*said, alert])
