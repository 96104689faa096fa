"""The one sentence at the top: what is wrong, since when, who was notified; or calm."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from watchroom.monitor.console.overview.notes import (
    Note,
    acknowledgement,
    notified,
    others,
    silenced_by,
)
from watchroom.units import span
from watchroom.urgency import opens_incident, priority_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.monitor.console.overview.tiles import Tile
    from watchroom.monitor.notify.ledger import LedgerEntry
    from watchroom.monitor.oncall.incident import Incident
    from watchroom.monitor.routing.silences import Silence
    from watchroom.monitor.rules.views import AlertView


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


_NOT_EVALUATING = Verdict(
    "fire",
    "▲",
    "The monitor isn't evaluating its rules",
    (Note("This page may be out of date. See the monitor's log."),),
)


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
        return _NOT_EVALUATING
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
        calm = _nothing_firing(pending, tiles, now_ms, calm_since_ms, waits, runbooks)
        return calm._replace(notes=[*calm.notes, *others(incidents)])
    names = [name] if name else incident.page_names if incident else []
    receivers = [silenced_by(silenced[each]) for each in names if each in silenced]
    if names and not receivers:
        receivers = notified(names, began, since, entries, known, people)
    below = [*receivers, *acknowledgement(incident), *others(incidents, incident)]
    return headline._replace(
        notes=[*headline.notes, *below],
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
    names = {_name(alert) for alert in firing}
    if incident.state != "firing" or not names.isdisjoint(incident.names):
        return True
    return incident.priority >= _priority(firing[0])


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
    sentence = f"{_name(worst)} is firing{_summary(worst)}"
    took = span((now_ms - since) / 1000)
    notes = [Note(f"{_priority(worst)}, firing for {took}, since", since)]
    if firing[1:]:
        notes.append(_firing_too(firing[1:], "more firing"))
    return Verdict("fire", "▲", sentence, notes, _description(dict(worst.annotations)))


def _firing_too(firing: Sequence[AlertView], words: str) -> Note:
    counts = Counter(map(_name, firing))
    names = [n if k == 1 else f"{n} ({k})" for n, k in counts.items()]
    return Note(f"{len(firing)} {words}: {', '.join(names[:4])}")


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
        names = list(dict.fromkeys(map(_name, pending[1:])))
        notes.append(Note(f"also pending: {', '.join(names[:4])}"))
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
