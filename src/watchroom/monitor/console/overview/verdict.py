"""The one sentence at the top: what is wrong, since when, who was notified; or calm."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from watchroom.units import counted, span
from watchroom.urgency import opens_incident, priority_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from watchroom.monitor.console.overview.tiles import Tile
    from watchroom.monitor.notify.ledger import LedgerEntry
    from watchroom.monitor.oncall.incident import Incident
    from watchroom.monitor.routing.silences import Silence
    from watchroom.monitor.rules.views import AlertView

_MOST_OTHERS = 4
_LONGEST = 120


class Note(NamedTuple):
    """One fragment of the line under the sentence.

    Attributes:
        text: What it says, without an instant: that is `at_ms`.
        at_ms: An instant to show after the text, or None.
        runbook: A runbook page to link to, or "".
        incident: An incident's page to link to, or 0.
        bad: Whether it is itself a problem.
        incidents: Whether to link to the list of incidents.
    """

    text: str
    at_ms: int | None = None
    runbook: str = ""
    incident: int = 0
    bad: bool = False
    incidents: bool = False


class Verdict(NamedTuple):
    """The sentence, and what is shown under it.

    Attributes:
        css, symbol: Of its state.
        sentence: What is wrong, or that nothing is.
        notes: The line under it.
        detail: What is known of it.
        answer: The incident that is not acknowledged, if any.
        can_silence: Whether that can be silenced, and is not yet.
        runbook: The page that says what to do, or "".
    """

    css: str
    symbol: str
    sentence: str
    notes: Sequence[Note]
    detail: str = ""
    answer: Incident | None = None
    can_silence: bool = False
    runbook: str = ""


def worst_first(alerts: Sequence[AlertView]) -> list[AlertView]:
    """Return alerts by state, priority, age."""

    def rank(alert: AlertView) -> tuple[bool, str, int]:
        return alert.state != "firing", _priority(alert), alert.active_at_ms

    return sorted(alerts, key=rank)


def verdict(
    alerts: Sequence[AlertView],
    tiles: Sequence[Tile],
    entries: Sequence[LedgerEntry],
    *,
    now_ms: int,
    calm_since_ms: int,
    waits: Mapping[str, float],
    fired: Mapping[str, int],
    runbooks: frozenset[str],
    known: Mapping[str, Mapping[str, int]],
    watching: bool,
    incidents: Sequence[Incident] = (),
    silenced: Mapping[str, Silence] = MappingProxyType({}),
    people: Mapping[str, str] = MappingProxyType({}),
) -> Verdict:
    """Return the sentence and its notes.

    Args:
        alerts: Pending and firing.
        tiles: The vitals.
        entries: The ledger's last deliveries, newest first.
        now_ms: Now.
        calm_since_ms: When anything last fired, or the monitor started.
        waits: Alert name → its ``for`` in seconds.
        fired: Alert name → when it last began to fire, where that is known.
        runbooks: Names of the existing runbooks.
        known: Alert name → receiver → when it accepted that this fires (ms).
        watching: Whether rules are evaluated on time.
        incidents: The open ones, the most urgent first.
        silenced: Alert name → the silence that mutes it.
        people: Receiver → the contacts behind it.
    """
    firing, pending = _wrong(alerts)
    if not watching:
        return _unwatched()
    incident = next(filter(_comes_first, incidents), None)
    if firing and (incident is None or _outranked(incident, firing)):
        name, began = _name(firing[0]), firing[0].active_at_ms
        since = max(began, fired.get(name, 0))
        headline = _firing(firing, now_ms, since)
        incident = next((each for each in incidents if name in each.names), None)
    elif incident is not None:
        name = (*incident.names, "")[0]
        began, since = incident.first_failure_ms, incident.detected_ms
        headline = _open_incident(incident, firing, now_ms)
    else:
        headline = _nothing_firing(
            pending, tiles, now_ms, calm_since_ms, waits, runbooks
        )
        return headline._replace(notes=[*headline.notes, *_others(incidents)])
    names = [name] if name else incident.page_names if incident else []
    receivers = [_silence(silenced[each]) for each in names if each in silenced]
    if names and not receivers:
        receivers = notified(names, began, since, entries, known, people)
    others = _others(incidents, incident)
    return headline._replace(
        notes=[*headline.notes, *receivers, *_acknowledgement(incident), *others],
        answer=incident if incident and incident.state == "firing" else None,
        can_silence=bool(incident and incident.group) and name not in silenced,
        runbook=name if name in runbooks else "",
    )


def _wrong(
    alerts: Sequence[AlertView],
) -> tuple[list[AlertView], list[AlertView]]:
    """Return what is wrong and fires, and what is pending, the worst first."""
    wrong = worst_first(
        [alert for alert in alerts if opens_incident(dict(alert.labels))]
    )
    firing = [alert for alert in wrong if alert.state == "firing"]
    return firing, [alert for alert in wrong if alert.state == "pending"]


def _unwatched() -> Verdict:
    note = Note("This page may be out of date. See the monitor's log.")
    return Verdict("fire", "▲", "The monitor isn't evaluating its rules", [note])


def _nothing_firing(
    pending: Sequence[AlertView],
    tiles: Sequence[Tile],
    now_ms: int,
    calm_since_ms: int,
    waits: Mapping[str, float],
    runbooks: frozenset[str],
) -> Verdict:
    if pending:
        return _pending(pending, now_ms, waits, runbooks)
    blind = [tile for tile in tiles if tile.state == "blind"]
    if blind:
        return _no_data(blind, tiles)
    return _calm(tiles, now_ms, calm_since_ms)


def _comes_first(incident: Incident) -> bool:
    """Return whether an open incident is shown first.

    Not if its alerts have ended and recovery is still being checked, nor if it is
    mitigated, or acknowledged while its data is missing: these are notes.
    """
    if incident.opened_by and not incident.alerts:
        return incident.state != "mitigated"
    return bool(incident.firing or (incident.state == "firing" and incident.unseen))


def _outranked(incident: Incident, firing: Sequence[AlertView]) -> bool:
    """Return whether firing alerts come before an open incident.

    Not if nobody acknowledged it and its priority is higher than that of every alert.
    """
    if not firing:
        return False
    names = {_name(alert) for alert in firing}
    if incident.state != "firing" or not names.isdisjoint(incident.names):
        return True
    return incident.priority >= _priority(firing[0])


def _others(
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
        title = (
            incident.title
            if len(incident.title) <= _LONGEST
            else f"{incident.title[:_LONGEST]}…"
        )
        text = (
            f"also open: incident {incident.id}, {incident.priority}, {state}: {title}"
        )
        bad = waits and incident.priority == "P1"
        notes.append(Note(text, incident=incident.id, bad=bad))
    more = len(shown) - _MOST_OTHERS
    if more > 0:
        notes.append(Note(f"{counted(more, 'more open incident')}", incidents=True))
    return notes


def _priority(alert: AlertView) -> str:
    return priority_of(dict(alert.labels))


def _name(alert: AlertView) -> str:
    return dict(alert.labels).get("alertname", "an alert")


def _summary(alert: AlertView) -> str:
    summary = dict(alert.annotations).get("summary", "").strip()
    return f": {summary}" if summary else ""


def _description(annotations: Mapping[str, str]) -> str:
    return " ".join(annotations.get("description", "").split())[:600]


def _firing(firing: Sequence[AlertView], now_ms: int, since: int) -> Verdict:
    worst = firing[0]
    name = _name(worst)
    sentence = f"{name} is firing{_summary(worst)}"
    notes = [
        Note(
            f"{_priority(worst)}, firing for {span((now_ms - since) / 1000)}, since",
            since,
        )
    ]
    if firing[1:]:
        notes.append(_firing_too(firing[1:], "more firing"))
    return Verdict("fire", "▲", sentence, notes, _description(dict(worst.annotations)))


def _firing_too(firing: Sequence[AlertView], words: str) -> Note:
    counts = Counter(map(_name, firing))
    others = [n if k == 1 else f"{n} ({k})" for n, k in counts.items()]
    return Note(f"{len(firing)} {words}: {', '.join(others[:4])}")


def _open_incident(
    worst: Incident, firing: Sequence[AlertView], now_ms: int
) -> Verdict:
    """Return an incident that no rule fires for: posted, manual, or without data."""
    since, names = worst.detected_ms, ", ".join(worst.names[:4])
    what = worst.title if worst.title in names else f"{names}: {worst.title}"
    sentence = f"Incident {worst.id} is open: {what if names else worst.title}"
    took = span((now_ms - since) / 1000)
    notes = [Note(f"{worst.priority}, open for {took}, since", since)]
    if firing:
        notes.append(_firing_too(firing, "firing"))
    if worst.unseen and not worst.firing:
        why = Note("data stopped arriving, so recovery can't be confirmed", bad=True)
        return Verdict("warn", "◆", sentence, [*notes, why])
    if worst.state == "acknowledged" and not worst.firing:
        return Verdict("warn", "◆", sentence, notes)
    detail = _description(next((alert.annotations for alert in worst.firing), {}))
    return Verdict("fire", "▲", sentence, notes, detail)


def _acknowledgement(incident: Incident | None) -> list[Note]:
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


def _silence(silence: Silence) -> Note:
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
    before = {
        receiver: at for name in names for receiver, at in known.get(name, {}).items()
    }
    if not by_receiver and before:
        return [
            Note(f"{who(receiver)} notified at", at) for receiver, at in before.items()
        ]
    if not by_receiver:
        return [Note("nobody notified yet", bad=True)]
    notes = []
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


def _pending(
    pending: Sequence[AlertView],
    now_ms: int,
    waits: Mapping[str, float],
    runbooks: frozenset[str],
) -> Verdict:
    worst = pending[0]
    name = _name(worst)
    left = waits.get(name, 0.0) - (now_ms - worst.active_at_ms) / 1000
    soon = f"fires in {span(left)} if it lasts" if left > 0 else "about to fire"
    notes = [Note(f"{soon}, pending since", worst.active_at_ms)]
    if len(pending) > 1:
        others = list(dict.fromkeys(map(_name, pending[1:])))
        notes.append(Note(f"also pending: {', '.join(others[:4])}"))
    if name in runbooks:
        notes.append(Note("runbook", runbook=name))
    sentence = f"{name} is pending{_summary(worst)}"
    return Verdict("warn", "◆", sentence, notes, _description(dict(worst.annotations)))


def _no_data(blind: Sequence[Tile], tiles: Sequence[Tile]) -> Verdict:
    names = ", ".join(tile.title for tile in blind[:4])
    if len(blind) == len(tiles):
        sentence = "No data for any vital"
    else:
        verb = "has" if len(blind) == 1 else "have"
        sentence = f"{len(blind)} of {len(tiles)} vitals {verb} no data: {names}"
    note = Note("Missing data hides problems. See the targets below.")
    return Verdict("warn", "○", sentence, [note])


def _calm(tiles: Sequence[Tile], now_ms: int, since_ms: int) -> Verdict:
    for_ = span((now_ms - since_ms) / 1000)
    judged = [tile for tile in tiles if tile.state != "not applicable"]
    idle = [tile for tile in judged if tile.state == "idle"]
    close = [tile for tile in judged if tile.state == "close"]
    notes = [_close(tile) for tile in close]
    if not judged or any(tile.words != "close" for tile in close):
        return Verdict("ok", "●", f"No alerts firing, for {for_}", notes)
    if idle and len(idle) == len(judged):
        return Verdict("ok", "●", "No alerts firing: no traffic or tasks yet", [])
    count = len(judged) - len(idle)
    who = f"All {count} vitals" if count > 1 and not idle else f"{count} vitals"
    if count == 1:
        who = "The one vital" if not idle else "1 vital"
    what = "are within their limits" if count > 1 else "is within its limit"
    rest = f", {len(idle)} idle" if idle else ""
    return Verdict("ok", "●", f"{who} {what}{rest}, for {for_}", notes)


def _close(tile: Tile) -> Note:
    if tile.words == "close":
        return Note(f"Close to its limit: {tile.title}, {tile.value}")
    # Its rule also asks for a number of events, or for time, or was paged before.
    return Note(f"{tile.words.capitalize()}, no alert: {tile.title}, {tile.value}")
