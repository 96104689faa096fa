"""What changed: alerts and deliveries in one list, and how they are related."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.units import span
from watchroom.urgency import is_drill, on_purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.monitor.console.overview.readings import Transition
    from watchroom.monitor.notify.ledger import LedgerEntry
    from watchroom.promql.model import Labels

# Labels that say what an alert is, and not where.
_NOT_WHERE = frozenset(
    {"severity", "priority", "vital", "blind", "environment", "project"}
)
_TAGS = {
    "firing": ("▲", "firing", "fire"),
    "pending": ("◆", "pending", "warn"),
    "resolved": ("✓", "resolved", "ok"),
}


class Change(NamedTuple):
    """One line of the list."""

    at_ms: int
    symbol: str
    tag: str
    css: str
    text: str
    small: str


def changes(
    history: Sequence[Transition],
    entries: Sequence[LedgerEntry],
    marks: Sequence[tuple[float, str, str]],
    more: Sequence[Change] = (),
    *,
    since_ms: int,
    limit: int = 14,
) -> list[Change]:
    """Return the newest changes first.

    Args:
        history: Alerts' changes, newest first.
        entries: Deliveries, newest first.
        marks: (epoch seconds, tag, text) of the monitor's own events.
        more: What people did: deployments, acknowledgements.
        since_ms: Nothing older.
        limit: How many at most.
    """
    everything = [_alert(*seen) for seen in _together(history)]
    everything += [_delivery(entry, history) for entry in entries]
    everything += [
        Change(round(at * 1000), "·", tag, "", text, "") for at, tag, text in marks
    ]
    everything += more
    recent = [change for change in everything if change.at_ms >= since_ms]
    order = {"✓": 0, "▲": 1, "◆": 2}
    recent.sort(key=lambda change: (-change.at_ms, order.get(change.symbol, 3)))
    return recent[:limit]


def _together(history: Sequence[Transition]) -> list[tuple[Transition, int]]:
    """Return each change and how often it came: repeated pending is one line.

    The newest represents those before it, until the alert fires.
    """
    merged: list[tuple[Transition, int]] = []
    pending: dict[tuple[str, Labels], int] = {}
    for change in history:
        if on_purpose(change.pairs):
            continue
        alert = change.alert, change.labels
        at = pending.get(alert)
        if change.state == "pending" and at is not None:
            merged[at] = merged[at][0], merged[at][1] + 1
            continue
        pending.pop(alert, None)
        if change.state == "pending":
            pending[alert] = len(merged)
        merged.append((change, 1))
    return merged


def _alert(change: Transition, times: int) -> Change:
    symbol, tag, css = _TAGS.get(change.state, ("·", change.state, ""))
    labels = dict(change.labels)
    if is_drill(labels):
        tag = f"drill {tag}"
    where = ", ".join(value for name, value in change.labels if name not in _NOT_WHERE)
    small = where[:120]
    if change.state == "resolved":
        fired = f"fired for {span(change.lasted_ms / 1000)}"
        small = f"{fired} · {small}" if small else fired
    if times > 1:
        small = f"{times} times without firing · {small}"
    return Change(change.at_ms, symbol, tag, css, change.alert, small)


def _delivery(entry: LedgerEntry, history: Sequence[Transition]) -> Change:
    names = ", ".join(entry.alertnames[:3]) or f"{entry.alerts} alerts"
    at = entry.finished_ms or entry.created_ms
    receiver = entry.key.receiver
    if entry.state == "sent":
        return Change(
            at,
            "→",
            "notified",
            "",
            f"{receiver}: {names} {entry.status}",
            _accepted(entry, history),
        )
    if entry.state == "open":
        tries = f"attempt {entry.attempts}" if entry.attempts else "being sent"
        small = f"{tries}: {entry.error}" if entry.error else tries
        return Change(at, "…", "notifying", "warn", f"{receiver}: {names}", small)
    if entry.state == "failed":
        why = entry.error or f"HTTP {entry.http_status}"
        return Change(at, "✗", "refused", "fire", f"{receiver}: {names}", why)
    return Change(
        at, "·", entry.state, "", f"{receiver}: {names} {entry.status}", entry.error
    )


def _accepted(entry: LedgerEntry, history: Sequence[Transition]) -> str:
    """Return how the delivery is related to its alert."""
    at = entry.finished_ms or entry.created_ms
    parts = ["delivered"]
    if entry.latency_ms is not None:
        parts[0] += f" in {entry.latency_ms:.0f} ms"
    if entry.attempts > 1:
        parts.append(f"at attempt {entry.attempts}")
    wanted = "firing" if entry.status == "firing" else "resolved"
    for change in history:
        if (
            change.state == wanted
            and change.alert in entry.alertnames
            and change.at_ms <= at
        ):
            verb = "it fired" if wanted == "firing" else "it resolved"
            gap = (at - change.at_ms) / 1000
            when = f"{span(gap)} after" if gap >= 1 else "as soon as"
            parts.append(f"{when} {verb}")
            break
    return ", ".join(parts)
