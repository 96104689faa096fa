"""An incident in words: its sentence, where it stands, who was told and answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.monitor.spans import span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.formats.contacts import Contacts
    from watchroom.monitor.oncall.incident import Event, Incident
    from watchroom.monitor.oncall.records import Sent

_SIGNS = {
    "firing": ("▲", "fire"),
    "acknowledged": ("◆", "warn"),
    "mitigated": ("◆", "warn"),
    "resolved": ("●", "ok"),
    "reviewed": ("●", "ok"),
}
_EVENTS = {
    "firing": ("▲", "fires", "fire"),
    "ended": ("✓", "ended", "ok"),
    "unseen": ("○", "unseen", ""),
    "told": ("→", "told", ""),
    "refused": ("✗", "not told", "fire"),
    "called": ("→", "called", ""),
    "escalated": ("⇈", "next called", "warn"),
    "acknowledged": ("✓", "acknowledged", "ok"),
    "mitigated": ("✓", "mitigated", "ok"),
    "resolved": ("✓", "resolved", "ok"),
    "reviewed": ("✓", "reviewed", "ok"),
    "deploy": ("⬆", "deploy", "accent"),
    "silenced": ("–", "silenced", "warn"),
    "unsilenced": ("–", "silence over", ""),
    "priority": ("·", "priority", ""),
    "note": ("✎", "note", ""),
    "opened": ("▲", "opened", "fire"),
}


class Head(NamedTuple):
    """The section at the top."""

    css: str
    symbol: str
    sentence: str
    state: str


class Entry(NamedTuple):
    """One line of a timeline."""

    at_ms: int
    symbol: str
    tag: str
    css: str
    text: str
    author: str


class Told(NamedTuple):
    """One receiver: who that is, what it heard, and whether somebody answered."""

    receiver: str
    people: str
    css: str
    symbol: str
    words: str
    at_ms: int | None


def head(incident: Incident, now_ms: int) -> Head:
    """Return the sentence that says where an incident stands."""
    symbol, css = _SIGNS[incident.state]
    title, who = incident.title, incident.acknowledged_by
    name = incident.names[0] if incident.names else ""
    about = title if not name or title.startswith(name) else f"{name}: {title}"
    lasted = span(((incident.resolved_ms or now_ms) - incident.failed_ms) / 1000)
    if incident.state == "acknowledged":
        sentence, state = f"{who} is on it. {about}", "acknowledged"
    elif incident.state == "mitigated":
        sentence, state = f"Mitigated, not over. {about}", "mitigated"
    elif incident.state == "firing":
        unseen = bool(incident.unseen) and not incident.firing
        verb = "unseen, not over" if unseen else "waits for an answer"
        sentence, state = about, verb
        if unseen:
            symbol, css = "○", "warn"
    else:
        sentence, state = f"Over after {lasted}. {about}", incident.state
    return Head(css, symbol, sentence, state)


def entries(events: Sequence[Event]) -> list[Entry]:
    """Return a timeline, newest first."""
    found = []
    for event in reversed(events):
        symbol, tag, css = _EVENTS.get(event.kind, ("·", event.kind, ""))
        found.append(Entry(event.at_ms, symbol, tag, css, event.text, event.author))
    return found


def told(incident: Incident, sent: Sequence[Sent], contacts: Contacts) -> list[Told]:
    """Return who was told that it fires, by the ledger, first told first."""
    by_receiver: dict[str, list[Sent]] = {}
    for one in sent:  # newest first
        if one.status == "firing":
            by_receiver.setdefault(one.receiver, []).append(one)
    found = []
    for receiver, messages in by_receiver.items():
        people = [c.name for c in contacts.contacts if receiver in c.receivers]
        found.append(_told(incident, receiver, ", ".join(people), messages))
    return sorted(found, key=lambda one: (one.at_ms is None, one.at_ms or 0))


def _told(
    incident: Incident, receiver: str, people: str, messages: Sequence[Sent]
) -> Told:
    accepted = [one for one in messages if one.state == "sent"]
    if not accepted:
        last = messages[0]
        why = last.error or "no answer yet"
        tries = f", attempt {last.attempts}" if last.attempts > 1 else ""
        verb = "being told" if last.state == "open" else "not told"
        css = "warn" if last.state == "open" else "fire"
        return Told(receiver, people, css, "✗", f"{verb}{tries}: {why}", None)
    first = accepted[-1]
    at = first.finished_ms or first.created_ms
    took = span(max(0, at - incident.opened_ms) / 1000)
    at_once = at - incident.opened_ms < 1000
    words = "accepted at once" if at_once else f"accepted {took} after it was opened"
    if len(accepted) > 1:
        words += f", {len(accepted)} times in all"
    mine = incident.acknowledged_by and incident.acknowledged_by in people.split(", ")
    if mine and incident.acknowledged_ms is not None:
        gap = span(max(0, incident.acknowledged_ms - at) / 1000)
        words += f"; answered {gap} later"
    elif people and incident.state == "firing":
        words += "; no answer yet"
    return Told(receiver, people, "ok" if mine else "", "→", words, at)
