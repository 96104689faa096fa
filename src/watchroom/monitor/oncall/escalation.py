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
    """Answers for each group of alerts, and writes down whom it calls.

    Asked by routing whenever a group's timer rings, so that repeats, retries and ends
    to whoever was called go the way of every other message, and a new process goes on
    from what the last one wrote.

    Args:
        incidents: The incidents.
        contacts: Who comes after whom.
    """

    def __init__(self, incidents: Incidents, contacts: Callable[[], Contacts]) -> None:
        self._incidents = incidents
        self._contacts = contacts

    def policy_of(
        self, fingerprints: Iterable[str], now_ms: int, *, firing: bool
    ) -> Policy:
        """Return what holds for the group of these alerts."""
        contacts, names = self._contacts(), list(fingerprints)

        def step(incident: Incident) -> tuple[Incident, *tuple[Event, ...]] | None:
            if not firing or not _pages(incident, names):
                return None
            return _step(incident, contacts, now_ms)

        incident = self._incidents.update(names, step)
        if incident is None:
            return ROUTE_ONLY
        if not _pages(incident, names):  # a warning beside a page calls nobody
            return Policy(quiet=incident.state in {"acknowledged", "mitigated"})
        receivers = tuple(incident.added_receivers)
        if incident.state in {"acknowledged", "mitigated"}:
            return Policy(quiet=True, receivers=receivers)
        if not _waits(incident):
            return Policy(receivers=receivers)
        return Policy(
            repeat_ms=contacts.repeat_ms,
            # Whoever only reads along (a chat) hears it as often as its route says.
            repeat_to=frozenset(receivers) if receivers else None,
            receivers=receivers,
        )


def _step(
    incident: Incident, contacts: Contacts, now_ms: int
) -> tuple[Incident, *tuple[Event, ...]] | None:
    """Return an incident after whom it is time to call, if that changes it."""
    if (incident.acknowledged_ms or 0) > now_ms:  # the clock was set back
        return (replace(incident, acknowledged_ms=now_ms),)
    if _forgotten(incident, contacts, now_ms):
        return _ask_again(incident, contacts, now_ms)
    if not _waits(incident):
        return None
    if incident.unacknowledged_ms > now_ms:  # the clock was set back
        incident = replace(incident, unacknowledged_ms=now_ms)
        return _call(incident, contacts, now_ms) or (incident,)
    return _call(incident, contacts, now_ms)


def _waits(incident: Incident) -> bool:
    return incident.state == "firing" and incident.priority == "P1"


def _pages(incident: Incident, fingerprints: Iterable[str]) -> bool:
    """Return whether these alerts of an incident are what people are called for."""
    if incident.priority_by or incident.priority != "P1":
        return True
    alerts = [incident.alerts[n] for n in fingerprints if n in incident.alerts]
    # What a person opened is no alert of its own.
    return not alerts or any(priority_of(one.labels) == "P1" for one in alerts)


def _forgotten(incident: Incident, contacts: Contacts, now_ms: int) -> bool:
    """Return whether a P1 was acknowledged too long ago for one that still fires."""
    at_ms, most = incident.acknowledged_ms, contacts.ack_timeout_ms
    return (
        incident.state == "acknowledged"
        and incident.priority == "P1"
        and at_ms is not None
        and 0 < most <= now_ms - at_ms
    )


def _ask_again(
    incident: Incident, contacts: Contacts, now_ms: int
) -> tuple[Incident, *tuple[Event, ...]]:
    """Page the person who acknowledged again; after a while the next contact."""
    waited = span((now_ms - (incident.acknowledged_ms or now_ms)) / 1000)
    text = f"still firing {waited} after {incident.acknowledged_by} acknowledged it"
    event = Event(now_ms, "monitor", "paged_again", text)
    asked = transitions.timed_out(incident, now_ms)
    called = _call(asked, contacts, now_ms)
    return (asked, event) if called is None else (called[0], event, called[1])


def _call(
    incident: Incident, contacts: Contacts, now_ms: int
) -> tuple[Incident, Event] | None:
    """Call the first contact at once, and the second after a while."""
    order = contacts.order(incident.first_contact)
    if order and not incident.added_receivers:
        first = order[0]
        verb = "paged again" if first.name == incident.first_contact else "paged first"
        text = f"{first.name} {verb}, via {', '.join(first.receivers)}"
        event = Event(now_ms, "monitor", "paged", text)
        return replace(incident, added_receivers=list(first.receivers)), event
    waited = now_ms - incident.unacknowledged_ms
    escalated = incident.escalated_ms is not None
    if len(order) < 2 or escalated or waited < contacts.escalate_ms:
        return None
    following = order[1]
    more = [one for one in following.receivers if one not in incident.added_receivers]
    text = (
        f"not acknowledged for {span(waited / 1000)}: {following.name} paged "
        f"via {', '.join(following.receivers)}"
    )
    changed = replace(
        incident,
        added_receivers=[*incident.added_receivers, *more],
        escalated_ms=now_ms,
        escalated_to=following.name,
    )
    return changed, Event(now_ms, "monitor", "escalated", text)
