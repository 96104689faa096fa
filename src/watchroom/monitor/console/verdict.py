"""The one sentence at the top: what is wrong, since when, who was told; or calm."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from watchroom.monitor.console.values import span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.monitor.console.tiles import Tile
    from watchroom.monitor.ledger import Entry
    from watchroom.monitor.oncall.incident import Incident
    from watchroom.monitor.rule_views import AlertView
    from watchroom.monitor.silences import Silence

_RANK = {"critical": 0, "warning": 1, "info": 2}


class Note(NamedTuple):
    """One fragment of the line under the sentence.

    Attributes:
        text: What it says; an instant in it stands in `at_ms` instead.
        at_ms: An instant to show after the text, or None.
        runbook: A runbook page to link to, or "".
        incident: An incident's page to link to, or 0.
        bad: Whether it is itself a problem.
    """

    text: str
    at_ms: int | None = None
    runbook: str = ""
    incident: int = 0
    bad: bool = False


class Verdict(NamedTuple):
    """The sentence, and what stands under it.

    Attributes:
        css, symbol: Of its state.
        sentence: What is wrong, or that nothing is.
        notes: The line under it.
        detail: What is known of it.
        answer: The incident that waits for an answer, if one does.
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


def is_page(alert: AlertView) -> bool:
    """Return whether the alert is about the app: no drill, no dead man's switch."""
    labels = dict(alert.labels)
    if labels.get("job", "").startswith("drill-"):
        return False
    return labels.get("severity", "none") != "none"


def worst_first(alerts: Sequence[AlertView]) -> list[AlertView]:
    """Return alerts by state, priority, severity, age."""

    def rank(alert: AlertView) -> tuple[bool, str, int, int]:
        labels = dict(alert.labels)
        return (
            alert.state != "firing",
            labels.get("priority", "P9"),
            _RANK.get(labels.get("severity", ""), 3),
            alert.active_at_ms,
        )

    return sorted(alerts, key=rank)


def verdict(
    alerts: Sequence[AlertView],
    tiles: Sequence[Tile],
    entries: Sequence[Entry],
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
) -> Verdict:
    """Return what to say first.

    Args:
        alerts: Pending and firing.
        tiles: The vitals.
        entries: The ledger's last deliveries, newest first.
        now_ms: Now.
        calm_since_ms: When anything last fired, or the watch began.
        waits: Alert name → its ``for`` in seconds.
        fired: Alert name → when it last began to fire, where that is known.
        runbooks: Names of the pages there are.
        known: Alert name → receiver → since when it knows that this fires (ms).
        watching: Whether rules are evaluated on time.
        incidents: The open ones, the most urgent first.
        silenced: Alert name → the silence that keeps it from everybody.
    """
    pages = worst_first([alert for alert in alerts if is_page(alert)])
    firing = [alert for alert in pages if alert.state == "firing"]
    pending = [alert for alert in pages if alert.state == "pending"]
    if not watching:
        note = Note("Nothing on this page can be trusted until it does; see its log.")
        return Verdict("fire", "▲", "The watch does not evaluate its rules", [note])
    lasting = [one for one in incidents if _lasts(one)]
    if firing:
        name, began = _name(firing[0]), firing[0].active_at_ms
        since = max(began, fired.get(name, 0))
        found = _firing(firing, now_ms, since)
        incident = next((one for one in incidents if name in one.names), None)
    elif lasting:
        incident = lasting[0]
        name, began = (*incident.names, "")[0], incident.failed_ms
        since = incident.opened_ms
        found = _lasting(lasting, now_ms)
    else:
        return _at_rest(pending, tiles, now_ms, calm_since_ms, waits, runbooks)
    heard = [_silence(silenced[name])] if name in silenced else []
    if name and not heard:
        heard = told(name, began, since, entries, known.get(name, {}))
    return found._replace(
        notes=[*found.notes, *heard, *_answered(incident)],
        answer=incident if incident and incident.state == "firing" else None,
        can_silence=bool(incident and incident.group) and name not in silenced,
        runbook=name if name in runbooks else "",
    )


def _at_rest(
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
        return _blind(blind, tiles)
    return _calm(tiles, now_ms, calm_since_ms)


def _lasts(incident: Incident) -> bool:
    """Return whether an open incident is more than an end nobody has looked at yet."""
    waits = incident.state == "firing"
    return bool(incident.firing or (waits and (incident.unseen or not incident.alerts)))


def _name(alert: AlertView) -> str:
    return dict(alert.labels).get("alertname", "an alert")


def _told_by(alert: AlertView) -> str:
    summary = dict(alert.annotations).get("summary", "").strip()
    return f": {summary}" if summary else ""


def _description(annotations: Mapping[str, str]) -> str:
    return " ".join(annotations.get("description", "").split())[:600]


def _firing(firing: Sequence[AlertView], now_ms: int, since: int) -> Verdict:
    worst = firing[0]
    name = _name(worst)
    more = len(firing) - 1
    sentence = f"{name} is firing{_told_by(worst)}"
    notes = [
        Note(
            f"{dict(worst.labels).get('priority', 'Firing')} for "
            f"{span((now_ms - since) / 1000)}, since",
            since,
        )
    ]
    if more:
        counts = Counter(map(_name, firing[1:]))
        others = [n if k == 1 else f"{n} ({k})" for n, k in counts.items()]
        notes.append(Note(f"{more} more firing: {', '.join(others[:4])}"))
    return Verdict("fire", "▲", sentence, notes, _description(dict(worst.annotations)))


def _lasting(incidents: Sequence[Incident], now_ms: int) -> Verdict:
    """Return what is open though no rule fires: posted, by hand, or unseen."""
    worst, since = incidents[0], incidents[0].opened_ms
    names, more = ", ".join(worst.names[:4]), len(incidents) - 1
    what = worst.title if worst.title in names else f"{names}: {worst.title}"
    sentence = f"Incident {worst.id} is open: {what if names else worst.title}"
    took = span((now_ms - since) / 1000)
    notes = [Note(f"{worst.priority} for {took}, since", since)]
    if more:
        others = ", ".join(one.title for one in incidents[1:4])
        notes.append(Note(f"{more} more open: {others}"))
    if worst.unseen and not worst.firing:
        why = Note("its series are missing, which proves no recovery", bad=True)
        return Verdict("warn", "◆", sentence, [*notes, why])
    detail = _description(next((one.annotations for one in worst.firing), {}))
    return Verdict("fire", "▲", sentence, notes, detail)


def _answered(incident: Incident | None) -> list[Note]:
    """Return whether somebody is on it, and where to say so."""
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
    """Return that nobody is told, and by whose word."""
    why = " ".join(silence.comment.split())[:160]
    by = silence.created_by or "somebody"
    return Note(f"silenced by {by}{f': {why}' if why else ''}, until", silence.ends_ms)


def told(
    name: str,
    began_ms: int,
    fired_ms: int,
    entries: Sequence[Entry],
    known: Mapping[str, int],
) -> list[Note]:
    """Return who was told of an alert that fires, and whether they accepted it.

    One that ended and came back before its end was told is no news to `known`.
    """
    said: dict[str, list[Entry]] = {}
    for entry in entries:  # newest first
        if (
            name in entry.alertnames
            and entry.status == "firing"
            and (entry.finished_ms or entry.created_ms) >= began_ms
        ):
            said.setdefault(entry.key.receiver, []).append(entry)
    if not said and known:
        return [Note(f"{who} was told", at_ms) for who, at_ms in known.items()]
    if not said:
        return [Note("nobody told yet", bad=True)]
    notes = []
    for receiver, messages in said.items():
        entry = messages[0]
        if entry.state == "sent":
            notes.append(Note(f"{receiver} told, {_accepted(messages, fired_ms)}"))
        elif entry.state == "open":
            why = f": {entry.error}" if entry.error else ""
            tries = f", attempt {entry.attempts}" if entry.attempts else ""
            notes.append(Note(f"{receiver} not reached yet{tries}{why}", bad=True))
        elif entry.state == "failed":
            why = entry.error or f"HTTP {entry.http_status}"
            notes.append(Note(f"{receiver} refused it: {why}", bad=True))
    return notes or [Note("nobody told yet", bad=True)]


def _accepted(messages: Sequence[Entry], fired_ms: int) -> str:
    """Return how soon somebody knew: a repeat of hours later does not count."""
    sent = [one for one in messages if one.state == "sent"]
    took = max(0, (sent[-1].finished_ms or sent[-1].created_ms) - fired_ms) / 1000
    again = f", {len(sent)} times" if len(sent) > 1 else ""
    return f"accepted {f'{span(took)} later' if took >= 1 else 'at once'}{again}"


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
    sentence = f"{name} is pending{_told_by(worst)}"
    return Verdict("warn", "◆", sentence, notes, _description(dict(worst.annotations)))


def _blind(blind: Sequence[Tile], tiles: Sequence[Tile]) -> Verdict:
    names = ", ".join(tile.title for tile in blind[:4])
    if len(blind) == len(tiles):
        sentence = "Every vital is blind: there is no data"
    else:
        verb = "is" if len(blind) == 1 else "are"
        sentence = f"{len(blind)} of {len(tiles)} vitals {verb} blind: {names}"
    note = Note("No data is not good news. What is watched, and why not, stands below.")
    return Verdict("warn", "○", sentence, [note])


def _calm(tiles: Sequence[Tile], now_ms: int, since_ms: int) -> Verdict:
    for_ = span((now_ms - since_ms) / 1000)
    judged = [tile for tile in tiles if tile.state != "not applicable"]
    idle = [tile for tile in judged if tile.state == "idle"]
    close = [tile for tile in judged if tile.state == "close"]
    if not judged:
        return Verdict("ok", "●", f"Nothing fires, for {for_}", [])
    if idle and len(idle) == len(judged):
        return Verdict("ok", "●", "All quiet: no events to judge yet", [])
    count = len(judged) - len(idle)
    who = f"All {count} vitals" if count > 1 and not idle else f"{count} vitals"
    if count == 1:
        who = "The one vital" if not idle else "1 vital"
    what = "are within their limits" if count > 1 else "is within its limit"
    rest = f", {len(idle)} idle" if idle else ""
    notes = [Note(f"Close to its limit: {tile.title}, {tile.value}") for tile in close]
    return Verdict("ok", "●", f"{who} {what}{rest}, for {for_}", notes)
