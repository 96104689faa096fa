"""Which alerts are one fault: by the causes that they name, and by time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.formats.symptoms import NEAR_SECONDS, SYMPTOM_OF, VITAL
from watchroom.urgency import priority_of

if TYPE_CHECKING:
    from watchroom.monitor.oncall.incident import Firing, Incident

_NEAR_MS = NEAR_SECONDS * 1000
_DEPLOYMENT = ("project", "environment", "env")


class FaultAlert(NamedTuple):
    """What decides to which fault an alert belongs.

    Attributes:
        vital: Its vital; empty for a rule without a vital.
        causes: The vitals it may be a symptom of, and their causes.
        priority: P1, P2 or P3.
        began_ms: When its expression became true, as far as that is known.
        deployment: The labels by which two deployments differ.
    """

    vital: str
    causes: frozenset[str]
    priority: str
    began_ms: int
    deployment: tuple[str, ...]


def fault_alert(firing: Firing, active_at_ms: int | None = None) -> FaultAlert:
    """Return what decides to which fault an alert belongs.

    Args:
        firing: The alert.
        active_at_ms: Since when its expression has been true, if known.
    """
    labels = firing.labels
    return FaultAlert(
        labels.get(VITAL, ""),
        frozenset(firing.annotations.get(SYMPTOM_OF, "").split()),
        priority_of(labels),
        min(active_at_ms or firing.began_ms, firing.began_ms),
        tuple(labels.get(name, "") for name in _DEPLOYMENT),
    )


def joins(new: FaultAlert, incident: Incident, now_ms: int, *, muted: bool) -> bool:
    """Return whether an alert is part of an open incident's fault.

    Args:
        new: The alert.
        incident: An open incident.
        now_ms: Now.
        muted: The alert is inhibited: part of a fault however late it began.
    """
    alerts = [
        fault_alert(old)
        for old in incident.alerts.values()
        if old.ended_ms is None or now_ms - old.ended_ms < _NEAR_MS
    ]
    # From the fault's first alert, not its last: rules may fire late, and each would
    # extend the fault by ten minutes.
    since = min((old.began_ms for old in alerts), default=0)
    near = muted or abs(new.began_ms - since) <= _NEAR_MS
    return any(_related(new, old, near=near) for old in alerts)


def _related(new: FaultAlert, old: FaultAlert, *, near: bool) -> bool:
    if not new.vital or not old.vital or new.deployment != old.deployment:
        return False
    follows = old.vital in new.causes
    if new.vital == old.vital or (follows and old.priority <= new.priority):
        return True
    shared = new.vital in old.causes or bool(new.causes & old.causes)
    return near and (follows or shared)


def only_symptoms_fire(new: FaultAlert, incident: Incident) -> bool:
    """Return whether all firing alerts of an incident are symptoms of an alert."""
    return all(new.vital in fault_alert(firing).causes for firing in incident.firing)


def explains(new: FaultAlert, incident: Incident) -> bool:
    """Return whether an alert explains the fault better than the earlier ones.

    It is more urgent than they are, or the cause of the most urgent of them.
    """
    if new.priority != incident.priority or incident.priority_by:
        return new.priority < incident.priority
    worst = [
        alert
        for alert in map(fault_alert, incident.alerts.values())
        if alert.priority == incident.priority
    ]
    return any(new.vital in alert.causes for alert in worst)
