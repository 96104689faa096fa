"""Who is paged for an incident, and how often: repeat, escalation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from watchroom.monitor.dispatch.policy import ROUTE_ONLY, Policy
from watchroom.monitor.oncall import transitions
from watchroom.monitor.oncall.incident import Event
from watchroom.units import span
from watchroom.urgency import priority_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from watchroom.formats.contacts import Contacts
    from watchroom.monitor.oncall.incident import Incident
    from watchroom.monitor.oncall.incidents import Incidents


class Escalation:
    """Decides whom each group of alerts pages, and records it in the incident.

    The dispatcher asks it at every flush of a group, so repeats, retries and ends to
    a paged contact are delivered like any other notification, and a new process
    continues from what the last one recorded.

    Args:
        incidents: The incidents.
        contacts: The order of contacts, and when to escalate.
    """

    def __init__(self, incidents: Incidents, contacts: Callable[[], Contacts]) -> None:
        self._incidents = incidents
        self._contacts = contacts

    def policy_of(
        self, fingerprints: Iterable[str], now_ms: int, *, firing: bool
    ) -> Policy:
        """Return the policy for the group of these alerts."""
        contacts, names = self._contacts(), list(fingerprints)

        def step(incident: Incident) -> tuple[Incident, *tuple[Event, ...]] | None:
            if not firing or not _pages(incident, names):
                return None
            return _step(incident, contacts, now_ms)

        incident = self._incidents.update(names, step)
        if incident is None:
            return ROUTE_ONLY
        if not _pages(incident, names):  # a warning beside a page pages nobody
            return Policy(quiet=incident.state in {"acknowledged", "mitigated"})
        receivers = tuple(incident.added_receivers)
        if incident.state in {"acknowledged", "mitigated"}:
            return Policy(quiet=True, receivers=receivers)
        if not _unacknowledged(incident):
            return Policy(receivers=receivers)
        return Policy(
            repeat_ms=contacts.repeat_ms,
            # Other receivers (a chat) get it at their route's repeat_interval.
            repeat_to=frozenset(receivers) if receivers else None,
            receivers=receivers,
        )


def _step(
    incident: Incident, contacts: Contacts, now_ms: int
) -> tuple[Incident, *tuple[Event, ...]] | None:
    """Return the incident after the next page is due, if that changes it."""
    if (incident.acknowledged_ms or 0) > now_ms:  # the clock was set back
        return (replace(incident, acknowledged_ms=now_ms),)
    if _ack_timed_out(incident, contacts, now_ms):
        return _page_again(incident, contacts, now_ms)
    if not _unacknowledged(incident):
        return None
    if incident.unacknowledged_ms > now_ms:  # the clock was set back
        incident = replace(incident, unacknowledged_ms=now_ms)
        return _page_next(incident, contacts, now_ms) or (incident,)
    return _page_next(incident, contacts, now_ms)


def _unacknowledged(incident: Incident) -> bool:
    return incident.state == "firing" and incident.priority == "P1"


def _pages(incident: Incident, fingerprints: Iterable[str]) -> bool:
    """Return whether these alerts of an incident are what pages people."""
    if incident.priority_by or incident.priority != "P1":
        return True
    alerts = [incident.alerts[n] for n in fingerprints if n in incident.alerts]
    # A manually opened incident has no alerts.
    return not alerts or any(priority_of(alert.labels) == "P1" for alert in alerts)


def _ack_timed_out(incident: Incident, contacts: Contacts, now_ms: int) -> bool:
    """Return whether a P1 still fires `ack_timeout` after it was acknowledged."""
    at_ms, most = incident.acknowledged_ms, contacts.ack_timeout_ms
    return (
        incident.state == "acknowledged"
        and incident.priority == "P1"
        and at_ms is not None
        and 0 < most <= now_ms - at_ms
    )


def _page_again(
    incident: Incident, contacts: Contacts, now_ms: int
) -> tuple[Incident, *tuple[Event, ...]]:
    """Page the person who acknowledged again; after a while the next contact."""
    waited = span((now_ms - (incident.acknowledged_ms or now_ms)) / 1000)
    text = f"still firing {waited} after {incident.acknowledged_by} acknowledged it"
    event = Event(now_ms, "monitor", "paged_again", text)
    timed_out = transitions.timed_out(incident, now_ms)
    paged = _page_next(timed_out, contacts, now_ms)
    return (timed_out, event) if paged is None else (paged[0], event, paged[1])


def _page_next(
    incident: Incident, contacts: Contacts, now_ms: int
) -> tuple[Incident, Event] | None:
    """Page the first contact at once, and the second after `escalate_after`."""
    order = contacts.order(incident.first_contact)
    if order and not incident.added_receivers:
        first = order[0]
        again = first.name == incident.first_contact
        place = "again" if again else "first in the escalation order"
        text = f"{first.name}, {place}, via {', '.join(first.receivers)}"
        event = Event(now_ms, "monitor", "paged", text)
        return replace(incident, added_receivers=list(first.receivers)), event
    waited = now_ms - incident.unacknowledged_ms
    escalated = incident.escalated_ms is not None
    if len(order) < 2 or escalated or waited < contacts.escalate_ms:
        return None
    following = order[1]
    added = incident.added_receivers
    more = [name for name in following.receivers if name not in added]
    text = (
        f"not acknowledged for {span(waited / 1000)}: {following.name} paged "
        f"via {', '.join(following.receivers)}"
    )
    changed = replace(
        incident,
        added_receivers=[*added, *more],
        escalated_ms=now_ms,
        escalated_to=following.name,
    )
    return changed, Event(now_ms, "monitor", "escalated", text)
