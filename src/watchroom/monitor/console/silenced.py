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
        starts_ms, ends_ms: First moment, and the first after it.
        by: Who made it.
        why: In one line.
        mutes: Names of the alerts that it keeps from receivers now.
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
        silences: In the order in which they are to be shown.
        views: What fires, and what silences it.
        now_ms: Now.
    """
    muted: dict[str, list[str]] = {}
    for view in views:
        name = dict(view.alert.labels).get("alertname", "an alert")
        for number in view.silenced_by:
            muted.setdefault(number, []).append(name)
    return [
        SilenceLine(
            id=one.id,
            state=one.state(now_ms),
            matchers=[f'{m.name}{m.op}"{m.value}"' for m in one.matchers],
            starts_ms=one.starts_ms,
            ends_ms=one.ends_ms,
            by=one.created_by or "an unnamed client",
            why=" ".join(one.comment.split()),
            mutes=sorted(set(muted.get(one.id, []))),
        )
        for one in silences
    ]


def in_force(silences: Silences, now_ms: int) -> list[Silence]:
    """Return the silences that keep alerts from receivers now, the first end first."""
    return [one for one in silences.all(now_ms) if one.state(now_ms) == "active"]


def over_incident(
    incident: Incident,
    silences: Silences,
    views: Iterable[AlertStatusView],
    now_ms: int,
) -> list[Silence]:
    """Return the active silences for any alert of an incident, fired or ended."""
    labels = [labels_of(alert.labels) for alert in incident.alerts.values()]
    pages = frozenset(incident.own_alerts)
    labels += [one.alert.labels for one in views if one.alert.fingerprint in pages]
    return [
        one
        for one in in_force(silences, now_ms)
        if any(matches_all(one.matchers, each) for each in labels)
    ]


def by_alert(
    views: Iterable[AlertStatusView], silences: Silences
) -> Mapping[str, Silence]:
    """Return alert name → the last silence to end, where every alert of it has one.

    One of two routes silenced is not the alert silenced: the other still pages.
    """
    found: dict[str, Silence] = {}
    heard: set[str] = set()
    for view in views:
        name = dict(view.alert.labels).get("alertname", "")
        held = [one for number in view.silenced_by if (one := silences.get(number))]
        if not held:
            heard.add(name)
        for one in held:
            if name not in found or one.ends_ms > found[name].ends_ms:
                found[name] = one
    return {name: one for name, one in found.items() if name not in heard}
