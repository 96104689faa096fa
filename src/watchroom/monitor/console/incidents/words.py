"""An incident in words: its sentence, its state and who set it, its receivers.

Used by both pages that have such a header: the incident's own, and the page behind the
link in a notification.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.monitor.console.overview.notes import Note
from watchroom.monitor.oncall import timeline
from watchroom.units import counted, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.formats.contacts import Contacts
    from watchroom.monitor.oncall.incident import Event, Incident
    from watchroom.monitor.oncall.records import Sent
    from watchroom.monitor.routing.silences import Silence

_SIGNS = {
    "firing": ("▲", "fire"),
    "acknowledged": ("◆", "warn"),
    "mitigated": ("◆", "warn"),
    "resolved": ("●", "ok"),
    "reviewed": ("●", "ok"),
}
_LONGEST_WHY = 300
_EARLIER_MS = 1000  # a notification may be made just before its incident is saved
_EVENTS = {
    "firing": ("▲", "firing", "fire"),
    "ended": ("✓", "ended", "ok"),
    "no_data": ("○", "no data", ""),
    "notified": ("→", "notified", ""),
    "refused": ("✗", "not notified", "fire"),
    "paged": ("→", "paged", ""),
    "escalated": ("⇈", "escalated", "warn"),
    "paged_again": ("⇈", "paged again", "warn"),
    "acknowledged": ("✓", "acknowledged", "ok"),
    "mitigated": ("✓", "mitigated", "ok"),
    "resolved": ("✓", "resolved", "ok"),
    "reviewed": ("✓", "reviewed", "ok"),
    "deploy": ("⬆", "deploy", "accent"),
    "silenced": ("–", "silenced", "warn"),
    "unsilenced": ("–", "silence ended", ""),
    "priority": ("·", "priority", ""),
    "note": ("✎", "note", ""),
    "opened": ("▲", "opened", "fire"),
}


class IncidentHeader(NamedTuple):
    """The section at the top.

    Attributes:
        css, symbol: Of its state.
        sentence: What is wrong, or was.
        state: Its state in a word or two, for lists.
        notes: Who set that state, when and why; since when it lasts; what mutes it.
        silenced: Whether a silence mutes it.
    """

    css: str
    symbol: str
    sentence: str
    state: str
    notes: Sequence[Note]
    silenced: bool = False


class TimelineLine(NamedTuple):
    """One line of a timeline."""

    at_ms: int
    symbol: str
    tag: str
    css: str
    text: str
    author: str


class ReceiverLine(NamedTuple):
    """One receiver: the people behind it, what it was sent, who acknowledged."""

    receiver: str
    people: str
    css: str
    symbol: str
    words: str
    at_ms: int | None


def head(
    incident: Incident,
    now_ms: int,
    events: Sequence[Event] = (),
    silences: Sequence[Silence] = (),
) -> IncidentHeader:
    """Return the sentence of an incident, and the line under it.

    Args:
        incident: The incident.
        now_ms: Now.
        events: Its timeline, oldest first: who set its state.
        silences: Those active for one of its alerts, or for its group.
    """
    symbol, css = _SIGNS[incident.state]
    unseen = incident.state == "firing" and incident.unseen and not incident.firing
    if unseen:
        symbol, css = "○", "warn"
    held = [_silenced(silence) for silence in silences]
    state = "not acknowledged" if incident.state == "firing" else incident.state
    return IncidentHeader(
        css,
        symbol,
        _sentence(incident),
        "no data" if unseen else state,
        [_state_note(incident, events), *_duration_notes(incident, now_ms), *held],
        silenced=bool(held),
    )


def _titled_by(incident: Incident) -> str:
    """Return the name of the alert whose summary is the title, else of the first."""
    alerts = list(incident.alerts.values())
    same = [alert for alert in alerts if timeline.summary(alert) == incident.title]
    return next((alert.name for alert in [*same, *alerts]), "")


def _sentence(incident: Incident) -> str:
    title = incident.title
    name = _titled_by(incident)
    about = title if not name or title.startswith(name) else f"{name}: {title}"
    if incident.state == "acknowledged":
        return f"{incident.acknowledged_by} is on it. {about}"
    if incident.state == "mitigated":
        return f"Mitigated, not resolved yet. {about}"
    if incident.open:
        return about
    took = (
        incident.resolved_ms or incident.first_failure_ms
    ) - incident.first_failure_ms
    return f"Resolved after {span(took / 1000)}. {about}"


def _state_note(incident: Incident, events: Sequence[Event]) -> Note:
    """Return the state, and who set it, when and why, from the timeline."""
    state = incident.state
    if state == "firing":
        if incident.unseen and not incident.firing:
            return Note(
                "data stopped arriving, so recovery can't be confirmed", bad=True
            )
        return Note("not acknowledged", bad=True)
    if state == "acknowledged":
        by = f"acknowledged by {incident.acknowledged_by} at"
        return Note(by, incident.acknowledged_ms, _why(incident.reason))
    at_ms = {
        "mitigated": incident.mitigated_ms,
        "resolved": incident.resolved_ms,
        "reviewed": incident.reviewed_ms,
    }[state]
    step = next((event for event in reversed(events) if event.kind == state), None)
    if step is None:
        return Note(f"{state} at", at_ms)
    if step.source == "monitor":
        return Note(f"{state} automatically at", at_ms, _why(step.text))
    return Note(f"{state} by {step.author} at", at_ms, _why(step.text))


def _why(text: str) -> str:
    line = " ".join(text.split())
    return f": {line[:_LONGEST_WHY]}{'…' if len(line) > _LONGEST_WHY else ''}"


def _duration_notes(incident: Incident, now_ms: int) -> list[Note]:
    """Return since when it lasts, and the outages before this one."""
    since = (
        f"opened by {incident.opened_by} at"
        if incident.opened_by
        else "first failure at"
    )
    took = f", {span((now_ms - incident.first_failure_ms) / 1000)} ago"
    notes = [Note(since, incident.first_failure_ms, took if incident.open else "")]
    if incident.earlier_outages:
        last = incident.earlier_outages[-1]
        lasted = span((last.resolved_ms - last.first_failure_ms) / 1000)
        count = counted(len(incident.earlier_outages), "earlier outage")
        text = f"{count}, the last resolved after {lasted} at"
        notes.append(Note(text, last.resolved_ms))
    if incident.escalated_to and incident.state == "firing":
        notes.append(Note(f"escalated to {incident.escalated_to}", bad=True))
    if incident.times > 1:
        notes.append(Note(f"fired {incident.times} times"))
    if incident.events_dropped:
        lost = counted(incident.events_dropped, "timeline entry", "timeline entries")
        notes.append(Note(f"{lost} dropped", bad=True))
    return notes


def _silenced(silence: Silence) -> Note:
    by = silence.created_by or "an unnamed client"
    return Note(f"silenced by {by} until", silence.ends_ms, _why(silence.comment))


def entries(events: Sequence[Event]) -> list[TimelineLine]:
    """Return a timeline, newest first."""
    lines = []
    for event in reversed(events):
        symbol, tag, css = _EVENTS.get(event.kind, ("·", event.kind, ""))
        lines.append(
            TimelineLine(event.at_ms, symbol, tag, css, event.text, event.author)
        )
    return lines


def receivers(
    incident: Incident, sent: Sequence[Sent], contacts: Contacts
) -> list[ReceiverLine]:
    """Return who was notified that it fires, by the ledger, the first one first.

    If it fired again, only later messages count. A receiver that was sent no end in
    between is sent nothing new until a repeat is due.
    """
    by_receiver: dict[str, list[Sent]] = {}
    for message in sent:  # newest first
        if message.status == "firing":
            by_receiver.setdefault(message.receiver, []).append(message)
    lines = []
    since = incident.detected_ms - _EARLIER_MS
    for receiver, every in by_receiver.items():
        messages = [each for each in every if each.created_ms >= since] or every
        people = contacts.behind().get(receiver, "")
        lines.append(_receiver(incident, receiver, people, messages))
    return sorted(lines, key=lambda line: (line.at_ms is None, line.at_ms or 0))


def _receiver(
    incident: Incident, receiver: str, people: str, messages: Sequence[Sent]
) -> ReceiverLine:
    accepted = [message for message in messages if message.state == "sent"]
    if not accepted:
        last = messages[0]
        why = last.error or "no response yet"
        tries = f" at attempt {last.attempts}" if last.attempts > 1 else ""
        verb = "sending" if last.state == "open" else "not delivered"
        css = "warn" if last.state == "open" else "fire"
        return ReceiverLine(receiver, people, css, "✗", f"{verb}{tries}: {why}", None)
    first = accepted[-1]
    at, opened = first.finished_ms or first.created_ms, incident.detected_ms
    took = span(max(0, at - opened) / 1000)
    words = "delivered at once"
    if opened - at > _EARLIER_MS:
        words = "delivered before it fired again"
    elif at - opened >= 1000:
        words = f"delivered {took} after the incident opened"
    if len(accepted) > 1:
        words += f", {len(accepted)} times in all"
    acknowledged = (
        incident.acknowledged_by and incident.acknowledged_by in people.split(", ")
    )
    if acknowledged and incident.acknowledged_ms is not None:
        gap = span(max(0, incident.acknowledged_ms - at) / 1000)
        words += f"; acknowledged {gap} later"
    elif people and incident.state == "firing":
        words += "; not acknowledged"
    return ReceiverLine(receiver, people, "ok" if acknowledged else "", "→", words, at)
