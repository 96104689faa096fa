"""How alerts change an incident: the next version from the one before, pure."""

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
    """Return an alert as an incident stores it."""
    return Firing(dict(alert.labels), dict(alert.annotations), alert.starts_at_ms)


def _first_failure_ms(alert: Alert) -> int:
    """Return when an alert's failure began: when it became pending or firing."""
    return min(alert.active_at_ms or alert.starts_at_ms, alert.starts_at_ms)


def titled(known: Incident, alert: Alert, group: Labels) -> Incident:
    """Return an incident with the title of an alert that is sent."""
    firing = firing_of(alert)
    title = timeline.summary(firing) or firing.name
    return replace(known, title=title, group=dict(group), title_from_page=True)


def joined(
    known: Incident, alert: Alert, group: Labels, now_ms: int, *, muted: bool = False
) -> tuple[Incident, Event]:
    """Return an open incident with one more alert, or one of its own firing again.

    An acknowledgement remains, unless the incident becomes a P1 only now, was marked
    mitigated, had no firing alerts left except symptoms, or is paged for another vital.
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
    if not before and fault.explains(fault.fault_alert(firing), known):
        changed = titled(changed, alert, group)
        # Another alert may be paged before it.
        changed = replace(changed, title_from_page=changed.priority == known.priority)
    other = not any(
        held.labels.get(VITAL) == firing.labels.get(VITAL)
        for held in known.alerts.values()
    )
    anew = (
        changed.priority == "P1" != known.priority
        or not known.firing
        or (before and fault.only_symptoms_fire(fault.fault_alert(firing), known))
        or (other and priority_of(firing.labels) == "P1")
    )
    answered = known.state == "acknowledged" and anew
    if not muted and (known.state == "mitigated" or answered):
        changed = _unacknowledged(changed, now_ms)
    return changed, timeline.fired(
        firing, "is firing again" if before else "is also firing"
    )


def reopened(known: Incident, alert: Alert, now_ms: int) -> tuple[Incident, Event]:
    """Return a resolved incident whose group fires again, not acknowledged.

    It is another outage of the same incident: the earlier one keeps its own times.
    """
    firing = firing_of(alert)
    alerts = {**known.alerts, alert.fingerprint: firing}
    ended_ms = known.resolved_ms or known.detected_ms
    outage = Outage(known.first_failure_ms, known.detected_ms, ended_ms)
    changed = replace(
        known,
        alerts=alerts,
        title=timeline.summary(firing) or firing.name,
        first_failure_ms=max(_first_failure_ms(alert), ended_ms),
        reopened_ms=now_ms,
        earlier_outages=[*known.earlier_outages, outage][-_MOST_OUTAGES:],
        priority=worst(alerts),
        priority_by="",
        times=known.times + 1,
    )
    event = timeline.fired(firing, "is firing again, incident reopened")
    if known.acknowledged_ms is None and known.mitigated_ms is None:
        # Never acknowledged: `escalate_after` still counts from the first page.
        return replace(changed, state="firing", reason="", resolved_ms=None), event
    return _unacknowledged(changed, now_ms), event


def timed_out(known: Incident, now_ms: int) -> Incident:
    """Return an acknowledged incident as unacknowledged: `ack_timeout` has passed."""
    return replace(_unacknowledged(known, now_ms), first_contact=known.acknowledged_by)


def updated(known: Incident, alert: Alert) -> Incident:
    """Return an incident with the current annotations of a firing alert.

    If the title is the summary of that alert, it changes too.
    """
    name, annotations = alert.fingerprint, dict(alert.annotations)
    before = known.alerts[name]
    if before.annotations == annotations:
        return known
    firing = replace(before, annotations=annotations)
    changed = replace(known, alerts={**known.alerts, name: firing})
    title = timeline.summary(firing)
    if title and known.title == timeline.summary(before):
        return replace(changed, title=title)
    return changed


def with_ended(known: Incident, names: Collection[str], now_ms: int) -> Incident:
    """Return an incident in which the alerts of these fingerprints have ended."""
    ended = {
        name: replace(firing, ended_ms=now_ms)
        for name, firing in known.alerts.items()
        if name in names and firing.ended_ms is None
    }
    return replace(known, alerts={**known.alerts, **ended})


def _unacknowledged(known: Incident, now_ms: int) -> Incident:
    """Return an incident as it was before anyone acknowledged it."""
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


def confirmed(
    known: Incident, gone: Mapping[str, bool], now_ms: int, *, more: bool = False
) -> tuple[Incident, list[Event]]:
    """Return an incident after a check of its ended alerts.

    It is resolved when all have ended and no series are missing.

    Args:
        known: The incident.
        gone: Fingerprint → whether the alert's series are missing.
        now_ms: Now.
        more: Alerts over its limit are firing.
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
    recovered = all(alert.series_missing is False for alert in alerts.values())
    if alerts and recovered and not more:
        changed = replace(changed, state="resolved", resolved_ms=now_ms)
        events.append(
            Event(now_ms, "monitor", "resolved", "all its alerts stopped firing")
        )
    return changed, events
