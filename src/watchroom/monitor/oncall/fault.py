"""Which alerts are one fault: by what they say they may follow from, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.formats.symptoms import NEAR_SECONDS, SYMPTOM_OF, VITAL
from watchroom.urgency import priority_of

if TYPE_CHECKING:
    from watchroom.monitor.oncall.incident import Firing, Incident

_NEAR_MS = NEAR_SECONDS * 1000
_DEPLOYMENT = ("project", "environment", "env")


class FaultAlert(NamedTuple):
    """What of an alert tells to which fault it belongs.

    Attributes:
        vital: Its vital; empty for a rule that has none.
        causes: The vitals it may follow from, and theirs.
        priority: P1, P2 or P3.
        began_ms: When its condition began to hold, as far as that is known.
        deployment: The labels by which two deployments differ.
    """

    vital: str
    causes: frozenset[str]
    priority: str
    began_ms: int
    deployment: tuple[str, ...]


def part(firing: Firing, active_at_ms: int | None = None) -> FaultAlert:
    """Return what tells to which fault an alert belongs.

    Args:
        firing: The alert.
        active_at_ms: Since when its expression has held, if known.
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
        incident: Open.
        now_ms: Now.
        muted: Its page is inhibited: then it is part of a fault, however late it began.
    """
    there = [
        part(old)
        for old in incident.alerts.values()
        if old.ended_ms is None or now_ms - old.ended_ms < _NEAR_MS
    ]
    # Since when it goes on, not since when the last of its alerts does: a rule may take
    # long to fire, and a fault would grow by ten minutes with each.
    since = min((old.began_ms for old in there), default=0)
    near = muted or abs(new.began_ms - since) <= _NEAR_MS
    return any(_related(new, old, near=near) for old in there)


def _related(new: FaultAlert, old: FaultAlert, *, near: bool) -> bool:
    if not new.vital or not old.vital or new.deployment != old.deployment:
        return False
    follows = old.vital in new.causes
    if new.vital == old.vital or (follows and old.priority <= new.priority):
        return True
    shared = new.vital in old.causes or bool(new.causes & old.causes)
    return near and (follows or shared)


def outlived(new: FaultAlert, incident: Incident) -> bool:
    """Return whether nothing of an incident fires but what follows from an alert."""
    return all(new.vital in part(one).causes for one in incident.firing)


def heads(new: FaultAlert, incident: Incident) -> bool:
    """Return whether an alert says better than the ones before what is broken.

    It is more urgent than they are, or the cause of the most urgent of them.
    """
    if new.priority != incident.priority or incident.priority_by:
        return new.priority < incident.priority
    worst = [
        one
        for one in map(part, incident.alerts.values())
        if one.priority == incident.priority
    ]
    return any(new.vital in one.causes for one in worst)
