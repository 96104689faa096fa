"""Silences as pages show them: the active ones, and the alerts each one mutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.promql.model import labels_of, matches_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from watchroom.monitor.dispatch.views import AlertStatusView
    from watchroom.monitor.oncall.incident import Incident
    from watchroom.monitor.routing.silences import Silence, Silences


class SilenceLine(NamedTuple):
    """A silence as pages show it.

    Attributes:
        id: Of the silence.
        state: active, pending or expired.
        matchers: Each as Alertmanager writes it.
        starts_ms, ends_ms: Its start, and its end (not included).
        by: Who created it.
        why: The comment, on one line.
        mutes: Names of the alerts that it mutes now.
    """

    id: str
    state: str
    matchers: Sequence[str]
    starts_ms: int
    ends_ms: int
    by: str
    why: str
    mutes: Sequence[str]


def lines(
    silences: Iterable[Silence], views: Sequence[AlertStatusView], now_ms: int
) -> list[SilenceLine]:
    """Return silences as pages show them.

    Args:
        silences: In the order to show.
        views: Firing alerts, and which silences mute them.
        now_ms: Now.
    """
    muted: dict[str, list[str]] = {}
    for view in views:
        name = dict(view.alert.labels).get("alertname", "an alert")
        for number in view.silenced_by:
            muted.setdefault(number, []).append(name)
    return [
        SilenceLine(
            id=silence.id,
            state=silence.state(now_ms),
            matchers=[f'{m.name}{m.op}"{m.value}"' for m in silence.matchers],
            starts_ms=silence.starts_ms,
            ends_ms=silence.ends_ms,
            by=silence.created_by or "an unnamed client",
            why=" ".join(silence.comment.split()),
            mutes=sorted(set(muted.get(silence.id, []))),
        )
        for silence in silences
    ]


def active(silences: Silences, now_ms: int) -> list[Silence]:
    """Return the active silences, the first to end first."""
    return [
        silence for silence in silences.all(now_ms) if silence.state(now_ms) == "active"
    ]


def over_incident(
    incident: Incident,
    silences: Silences,
    views: Iterable[AlertStatusView],
    now_ms: int,
) -> list[Silence]:
    """Return the active silences for any alert of an incident, fired or ended."""
    labels = [labels_of(alert.labels) for alert in incident.alerts.values()]
    pages = frozenset(incident.own_alerts)
    labels += [view.alert.labels for view in views if view.alert.fingerprint in pages]
    return [
        silence
        for silence in active(silences, now_ms)
        if any(matches_all(silence.matchers, each) for each in labels)
    ]


def by_alert(
    views: Iterable[AlertStatusView], silences: Silences
) -> Mapping[str, Silence]:
    """Return alert name → its last silence to end, if all its alerts are silenced.

    If one label set isn't silenced, the alert isn't: that one still pages.
    """
    last: dict[str, Silence] = {}
    unsilenced: set[str] = set()
    for view in views:
        name = dict(view.alert.labels).get("alertname", "")
        active_ = [
            silence for number in view.silenced_by if (silence := silences.get(number))
        ]
        if not active_:
            unsilenced.add(name)
        for silence in active_:
            if name not in last or silence.ends_ms > last[name].ends_ms:
                last[name] = silence
    return {name: silence for name, silence in last.items() if name not in unsilenced}
