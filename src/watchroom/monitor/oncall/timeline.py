"""Entries of a timeline in words: what fired, what ended, what was deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.monitor.oncall.incident import Event, Firing
from watchroom.units import span

if TYPE_CHECKING:
    from watchroom.monitor.oncall.records import Deploy
    from watchroom.monitor.routing.silences import Silence

_HIDDEN = frozenset(
    {"alertname", "severity", "priority", "vital", "environment", "env", "project"}
)
_LONGEST = 300


def where(firing: Firing) -> str:
    """Return the labels that tell an alert from others of its name."""
    pairs = [
        f"{name}={value}"
        for name, value in sorted(firing.labels.items())
        if name not in _HIDDEN
    ]
    return ", ".join(pairs)[:_LONGEST]


def who(firing: Firing) -> str:
    """Return an alert's name, with the labels that tell it from others."""
    labels = where(firing)
    return f"{firing.name} ({labels})" if labels else firing.name


def summary(firing: Firing) -> str:
    """Return an alert's summary in one line, or nothing."""
    return " ".join(firing.annotations.get("summary", "").split())[:_LONGEST]


def fired(firing: Firing, verb: str) -> Event:
    """Return the entry of a firing alert."""
    line = summary(firing)
    text = f"{who(firing)} {verb}{f': {line}' if line else ''}"
    return Event(firing.began_ms, "alert", "firing", text)


def ended(firing: Firing, *, missing: bool, now_ms: int) -> Event:
    """Return the entry of an alert that stopped firing."""
    if missing:
        why = "stopped because its data stopped arriving: recovery can't be confirmed"
        return Event(now_ms, "alert", "no_data", f"{who(firing)} {why}")
    if firing.series_missing:
        back = "its data is back, and it isn't firing"
        return Event(now_ms, "alert", "ended", f"{who(firing)}: {back}")
    return Event(
        firing.ended_ms or now_ms, "alert", "ended", f"{who(firing)} stopped firing"
    )


def gap(at_ms: int, first_ms: int) -> str:
    """Return how long before or after the first failure an instant is."""
    seconds = (first_ms - at_ms) / 1000
    if seconds >= 1:
        return f"{span(seconds)} before the first failure"
    if seconds <= -1:
        return f"{span(-seconds)} after the first failure"
    return "at the time of the first failure"


def unsilenced(silence: Silence, who: str, now_ms: int) -> Event:
    """Return the entry of a silence that a person ended early."""
    by = silence.created_by[:80] or "an unnamed client"
    text = f"ended the silence created by {by}, {_matchers(silence)}"
    return Event(now_ms, "person", "unsilenced", text, who)


def _matchers(silence: Silence) -> str:
    return ", ".join(f'{m.name}{m.op}"{m.value}"' for m in silence.matchers)[:_LONGEST]


def silenced(silence: Silence, now_ms: int) -> Event:
    """Return the entry of a silence that was made, changed or ended."""
    why = " ".join(silence.comment.split())
    what = f", {_matchers(silence)}{f': {why}' if why else ''}"
    if silence.state(now_ms) == "expired" or silence.ends_ms <= now_ms:
        by = silence.created_by[:80] or "an unnamed client"
        text = f"the silence created by {by} has ended{what}"
        return Event(now_ms, "person", "unsilenced", text)
    left = span((silence.ends_ms - max(now_ms, silence.starts_ms)) / 1000)
    later = silence.starts_ms - now_ms
    begins = f", starting in {span(later / 1000)}" if later >= 1000 else ""
    text = f"for {left}{begins}{what}"
    return Event(now_ms, "person", "silenced", text, silence.created_by[:80])


def deployed(deploy: Deploy, first_ms: int) -> Event:
    """Return the entry of a deployment, with its time relative to a failure."""
    text = f"{deploy.version} deployed, {gap(deploy.at_ms, first_ms)}"
    return Event(deploy.at_ms, "deploy", "deploy", text, deploy.author)
