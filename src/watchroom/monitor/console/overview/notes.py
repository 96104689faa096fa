"""The line under a sentence: other incidents, who was notified, who acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.units import counted, span

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from watchroom.monitor.notify.ledger import LedgerEntry
    from watchroom.monitor.oncall.incident import Incident
    from watchroom.monitor.routing.silences import Silence

_MOST_OTHERS = 4
_LONGEST = 120


class Note(NamedTuple):
    """One fragment of the line under a sentence.

    Attributes:
        text: What it says, without an instant: that is `at_ms`.
        at_ms: An instant to show after the text, or None.
        after: What follows the instant.
        runbook: A runbook page to link to, or "".
        incident: An incident's page to link to, or 0.
        bad: Whether it is itself a problem.
        incidents: Whether to link to the list of incidents.
    """

    text: str
    at_ms: int | None = None
    after: str = ""
    runbook: str = ""
    incident: int = 0
    bad: bool = False
    incidents: bool = False


def others(
    incidents: Sequence[Incident], shown_already: Incident | None = None
) -> list[Note]:
    """Return the other open incidents, the most urgent first."""
    shown = [
        incident
        for incident in incidents
        if incident is not shown_already
        # Else its recovery is being checked.
        and (incident.firing or incident.unseen or not incident.alerts)
    ]
    notes = []
    for incident in shown[:_MOST_OTHERS]:
        waits = incident.state == "firing"
        state = "not acknowledged" if waits else incident.state
        title = incident.title[:_LONGEST] + "…" * (len(incident.title) > _LONGEST)
        what = f"incident {incident.id}, {incident.priority}, {state}: {title}"
        bad = waits and incident.priority == "P1"
        notes.append(Note(f"also open: {what}", incident=incident.id, bad=bad))
    more = len(shown) - _MOST_OTHERS
    if more > 0:
        notes.append(Note(counted(more, "more open incident"), incidents=True))
    return notes


def acknowledgement(incident: Incident | None) -> list[Note]:
    """Return who acknowledged it, or where to do so."""
    if incident is None:
        return []
    page = Note(f"incident {incident.id}", incident=incident.id)
    if incident.acknowledged_by:
        who, why = incident.acknowledged_by, " ".join(incident.reason.split())[:160]
        since = Note(f"{who} is on it: {why}, since", incident.acknowledged_ms)
        return [since, page]
    if incident.priority == "P1":
        return [Note("not acknowledged", bad=True), page]
    return [page]


def silenced_by(silence: Silence) -> Note:
    """Return that it is silenced, and by whom."""
    why = " ".join(silence.comment.split())[:160]
    by = silence.created_by or "an unnamed client"
    return Note(f"silenced by {by}{f': {why}' if why else ''}, until", silence.ends_ms)


def notified(
    names: Collection[str],
    began_ms: int,
    fired_ms: int,
    entries: Sequence[LedgerEntry],
    known: Mapping[str, Mapping[str, int]],
    people: Mapping[str, str],
) -> list[Note]:
    """Return who was notified of a firing alert, and whether that was delivered.

    An alert that fired again before its end was sent keeps its entry in `known`.

    Args:
        names: Of the alerts.
        began_ms: When it began; nothing sent before is about it.
        fired_ms: When it began to fire.
        entries: The ledger's last deliveries, newest first.
        known: Alert name → receiver → when it accepted that (ms).
        people: Receiver → the contacts behind it.
    """

    def who(receiver: str) -> str:
        return f"{people[receiver]} via {receiver}" if receiver in people else receiver

    wanted = frozenset(names)
    by_receiver: dict[str, list[LedgerEntry]] = {}
    for entry in entries:  # newest first
        if (
            not wanted.isdisjoint(entry.alertnames)
            and entry.status == "firing"
            and (entry.finished_ms or entry.created_ms) >= began_ms
        ):
            by_receiver.setdefault(entry.key.receiver, []).append(entry)
    notes = []
    if not by_receiver:
        before = [pair for name in names for pair in known.get(name, {}).items()]
        notes = [
            Note(f"{who(name)} notified at", at) for name, at in dict(before).items()
        ]
    for receiver, messages in by_receiver.items():
        entry = messages[0]
        if entry.state == "sent":
            notes.append(
                Note(f"{who(receiver)} notified, {_accepted(messages, fired_ms)}")
            )
        elif entry.state == "open":
            why = f": {entry.error}" if entry.error else ""
            tries = f", attempt {entry.attempts}" if entry.attempts else ""
            notes.append(Note(f"{who(receiver)} not reached yet{tries}{why}", bad=True))
        elif entry.state == "failed":
            why = entry.error or f"HTTP {entry.http_status}"
            notes.append(Note(f"{who(receiver)} not notified: {why}", bad=True))
    return notes or [Note("nobody notified yet", bad=True)]


def _accepted(messages: Sequence[LedgerEntry], fired_ms: int) -> str:
    """Return how soon the first was delivered: repeats do not count."""
    sent = [message for message in messages if message.state == "sent"]
    took = max(0, (sent[-1].finished_ms or sent[-1].created_ms) - fired_ms) / 1000
    again = f", {len(sent)} times" if len(sent) > 1 else ""
    return f"delivered {f'{span(took)} later' if took >= 1 else 'at once'}{again}"
