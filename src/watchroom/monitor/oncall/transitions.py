"""What alerts make of an incident: the next one from the one before, pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from watchroom.formats.symptoms import VITAL
from watchroom.monitor.oncall import fault, timeline
from watchroom.monitor.oncall.incident import (
    Event,
    Firing,
    Incident,
    Outage,
    worst,
)
from watchroom.urgency import priority_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from watchroom.monitor.alert import Alert
    from watchroom.promql.model import Labels


def opened(number: int, alert: Alert, group: Labels, now_ms: int) -> Incident:
    """Return the incident that an alert opens."""
    firing = firing_of(alert)
    return Incident(
        id=number,
        group=dict(group),
        title=timeline.summary(firing) or firing.name,
        priority=priority_of(firing.labels),
        state="firing",
        opened_ms=now_ms,
        first_failure_ms=_first_failure_ms(alert),
        unacknowledged_ms=now_ms,
        alerts={alert.fingerprint: firing},
    )


_MOST_OUTAGES = 50


def by_hand(number: int, title: str, priority: str, by: str, now_ms: int) -> Incident:
    """Return an incident that a person opens."""
    return Incident(
        id=number,
        group={},
        title=title,
        priority=priority,
        state="firing",
        opened_ms=now_ms,
        first_failure_ms=now_ms,
        unacknowledged_ms=now_ms,
        opened_by=by,
    )


def firing_of(alert: Alert) -> Firing:
    """Return an alert as an incident holds it."""
    return Firing(dict(alert.labels), dict(alert.annotations), alert.starts_at_ms)


def _first_failure_ms(alert: Alert) -> int:
    """Return since when what an alert is about has failed: pending or firing."""
    return min(alert.active_at_ms or alert.starts_at_ms, alert.starts_at_ms)


def titled(known: Incident, alert: Alert, group: Labels) -> Incident:
    """Return an incident that has the title of an alert that is told of."""
    firing = firing_of(alert)
    title = timeline.summary(firing) or firing.name
    return replace(known, title=title, group=dict(group), title_from_page=True)


def joined(
    known: Incident, alert: Alert, group: Labels, now_ms: int, *, muted: bool = False
) -> tuple[Incident, Event]:
    """Return an open incident with one more alert, or one of its own firing again.

    What somebody answered stays answered, unless it becomes a P1 only now, was thought
    to be mitigated, was over but for what follows from it or for nobody having looked,
    or is paged for something else.
    """
    before = alert.fingerprint in known.alerts
    firing = firing_of(alert)
    alerts = {**known.alerts, alert.fingerprint: firing}
    changed = replace(
        known,
        alerts=alerts,
        priority=known.priority if known.priority_by else worst(alerts),
        times=known.times + before,
    )
    if not before and fault.heads(fault.part(firing), known):
        changed = titled(changed, alert, group)
        # Another may be paged before it.
        changed = replace(changed, title_from_page=changed.priority == known.priority)
    other = not any(
        one.labels.get(VITAL) == firing.labels.get(VITAL)
        for one in known.alerts.values()
    )
    anew = (
        changed.priority == "P1" != known.priority
        or not known.firing
        or (before and fault.outlived(fault.part(firing), known))
        or (other and priority_of(firing.labels) == "P1")
    )
    answered = known.state == "acknowledged" and anew
    if not muted and (known.state == "mitigated" or answered):
        changed = _unanswered(changed, now_ms)
    return changed, timeline.fired(
        firing, "is firing again" if before else "is also firing"
    )


def reopened(known: Incident, alert: Alert, now_ms: int) -> tuple[Incident, Event]:
    """Return a resolved incident whose group fires again: nobody has answered that.

    It is another outage of the same incident: the one before keeps its own times.
    """
    firing = firing_of(alert)
    alerts = {**known.alerts, alert.fingerprint: firing}
    ended_ms = known.resolved_ms or known.detected_ms
    over = Outage(known.first_failure_ms, known.detected_ms, ended_ms)
    changed = replace(
        known,
        alerts=alerts,
        title=timeline.summary(firing) or firing.name,
        first_failure_ms=max(_first_failure_ms(alert), ended_ms),
        reopened_ms=now_ms,
        earlier_outages=[*known.earlier_outages, over][-_MOST_OUTAGES:],
        priority=worst(alerts),
        priority_by="",
        times=known.times + 1,
    )
    event = timeline.fired(firing, "is firing again, incident reopened")
    if known.acknowledged_ms is None and known.mitigated_ms is None:
        # Nobody has answered yet: what flaps waits on, and is passed on in its time.
        return replace(changed, state="firing", reason="", resolved_ms=None), event
    return _unanswered(changed, now_ms), event


def timed_out(known: Incident, now_ms: int) -> Incident:
    """Return an acknowledged incident that waits for an answer again."""
    return replace(_unanswered(known, now_ms), first_contact=known.acknowledged_by)


def heard(known: Incident, alert: Alert) -> Incident:
    """Return an incident in which an alert that goes on says what it says now.

    Its title is the summary of an alert: it goes on with the one that it came from.
    """
    name, annotations = alert.fingerprint, dict(alert.annotations)
    before = known.alerts[name]
    if before.annotations == annotations:
        return known
    firing = replace(before, annotations=annotations)
    changed = replace(known, alerts={**known.alerts, name: firing})
    said = timeline.summary(firing)
    if said and known.title == timeline.summary(before):
        return replace(changed, title=said)
    return changed


def unheard(known: Incident, names: Collection[str], now_ms: int) -> Incident:
    """Return an incident in which alerts of these fingerprints have ended."""
    over = {
        name: replace(firing, ended_ms=now_ms)
        for name, firing in known.alerts.items()
        if name in names and firing.ended_ms is None
    }
    return replace(known, alerts={**known.alerts, **over})


def _unanswered(known: Incident, now_ms: int) -> Incident:
    """Return an incident that waits for an answer as on its first day."""
    return replace(
        known,
        state="firing",
        unacknowledged_ms=now_ms,
        acknowledged_by="",
        acknowledged_ms=None,
        reason="",
        mitigated_ms=None,
        resolved_ms=None,
        escalated_ms=None,
        escalated_to="",
        first_contact="",
        added_receivers=[],
        informed_pagers=[],
    )


def judged(
    known: Incident, gone: Mapping[str, bool], now_ms: int, *, more: bool = False
) -> tuple[Incident, list[Event]]:
    """Return an incident after a look at its ended alerts: fingerprint → no series.

    It is resolved when all have ended with their series there.

    Args:
        known: The incident.
        gone: What was found out.
        now_ms: Now.
        more: Alerts of it fire that it has no room for.
    """
    alerts, events = dict(known.alerts), []
    for name, missing in gone.items():
        firing = alerts.get(name)
        if (
            firing is None
            or firing.ended_ms is None
            or firing.series_missing is missing
        ):
            continue
        events.append(timeline.ended(firing, missing=missing, now_ms=now_ms))
        alerts[name] = replace(firing, series_missing=missing)
    changed = replace(known, alerts=alerts)
    over = all(one.series_missing is False for one in alerts.values())
    if alerts and over and not more:
        changed = replace(changed, state="resolved", resolved_ms=now_ms)
        events.append(
            Event(now_ms, "monitor", "resolved", "all its alerts stopped firing")
        )
    return changed, events
