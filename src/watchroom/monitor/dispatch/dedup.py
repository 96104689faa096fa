"""Whether a receiver has to hear of a group again, by the rules of Alertmanager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.monitor.dispatch.notification import (
    DeliveryKey,
    Kind,
    Notification,
    NotificationLogEntry,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.monitor.alert import Alert
    from watchroom.promql.model import Labels


def decide(
    key: DeliveryKey,
    group_labels: Labels,
    alerts: Sequence[Alert],
    *,
    told: NotificationLogEntry | None,
    open_: NotificationLogEntry | None,
    send_resolved: bool,
    repeat_before_ms: int,
    quiet: bool = False,
    called: bool = False,
) -> Notification | None:
    """Return what to say to one integration of a group that rang, if anything.

    Args:
        key: Which.
        group_labels: Of the group.
        alerts: Of the group, without those that are muted.
        told: What it accepted last, if anything.
        open_: What is still being said to it, if anything.
        send_resolved: Whether it wants to hear of ends.
        repeat_before_ms: What was said before this moment is said again.
        quiet: Somebody is on it: a repeat that is still on its way is called back.
        called: No route names this receiver. Once it is quiet there is nothing to call
            it for, unless it knows already: then it goes on to hear, to the end.
    """
    ended = [alert for alert in alerts if alert.ends_at_ms is not None]
    resolved = frozenset(alert.fingerprint for alert in ended)
    firing = frozenset(alert.fingerprint for alert in alerts) - resolved
    update = needs_update(
        told,
        firing,
        resolved,
        send_resolved=send_resolved,
        repeat_before_ms=repeat_before_ms,
    )
    needless = quiet and called and not (told and told.firing)
    update = update and not needless
    kind: Kind = "send" if firing or send_resolved else "note"
    if open_ is not None:
        same = (open_.firing, open_.resolved) == (firing, resolved)
        if same and (update or not quiet or not firing):
            return None  # it is on its way
        # Nobody accepted the page and it is over: say both at once, if wanted.
        over = not firing and open_.firing and not needless
        if not update and not over:
            kind = "cancel"
    elif not update:
        return None
    sent = alerts if send_resolved else [a for a in alerts if a not in ended]
    return Notification(
        key,
        kind,
        "firing" if firing else "resolved",
        tuple(sent) if kind == "send" else (),
        group_labels,
        firing,
        resolved,
    )


def needs_update(
    told: NotificationLogEntry | None,
    firing: frozenset[str],
    resolved: frozenset[str],
    *,
    send_resolved: bool,
    repeat_before_ms: int,
) -> bool:
    """Return whether a receiver has to hear of a group, by Alertmanager's rules.

    Args:
        told: What it accepted last, if anything.
        firing: What fires now.
        resolved: What ended.
        send_resolved: Whether it wants to hear of ends.
        repeat_before_ms: What was said before this moment is said again.
    """
    if told is None:
        return bool(firing)
    if not firing <= told.firing:
        return True
    if not firing:
        return bool(told.firing)
    if send_resolved and not resolved <= told.resolved:
        return True
    return told.at_ms < repeat_before_ms
