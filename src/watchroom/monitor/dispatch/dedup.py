"""Whether a receiver is notified of a group again, by the rules of Alertmanager."""

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
    logged: NotificationLogEntry | None,
    open_delivery: NotificationLogEntry | None,
    send_resolved: bool,
    repeat_before_ms: int,
    quiet: bool = False,
    escalated: bool = False,
) -> Notification | None:
    """Return the notification of a flushed group for one integration, if any is due.

    Args:
        key: The receiver's integration and the group.
        group_labels: Labels of the group.
        alerts: Alerts of the group, without those that are muted.
        logged: What the receiver accepted last, if anything.
        open_delivery: What is being delivered to it now, if anything.
        send_resolved: Whether it is notified of resolved alerts.
        repeat_before_ms: A notification accepted before this moment is repeated.
        quiet: The group is acknowledged: a repeat not yet accepted is cancelled.
        escalated: Escalation names this receiver, no route does. Once the group is
            quiet it isn't notified, unless it accepted a page: then until the end.
    """
    ended = [alert for alert in alerts if alert.ends_at_ms is not None]
    resolved = frozenset(alert.fingerprint for alert in ended)
    firing = frozenset(alert.fingerprint for alert in alerts) - resolved
    update = needs_update(
        logged,
        firing,
        resolved,
        send_resolved=send_resolved,
        repeat_before_ms=repeat_before_ms,
    )
    needless = quiet and escalated and not (logged and logged.firing)
    update = update and not needless
    kind: Kind = "send" if firing or send_resolved else "note"
    if open_delivery is not None:
        same = (open_delivery.firing, open_delivery.resolved) == (firing, resolved)
        if same and (update or not quiet or not firing):
            return None  # it is being delivered
        # Resolved before the page was accepted: send both at once, if wanted.
        resolved_unsent = not firing and open_delivery.firing and not needless
        if not update and not resolved_unsent:
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
    logged: NotificationLogEntry | None,
    firing: frozenset[str],
    resolved: frozenset[str],
    *,
    send_resolved: bool,
    repeat_before_ms: int,
) -> bool:
    """Return whether a receiver must be notified of a group, by Alertmanager's rules.

    Args:
        logged: What it accepted last, if anything.
        firing: Fingerprints of the firing alerts.
        resolved: Fingerprints of the resolved alerts.
        send_resolved: Whether it is notified of resolved alerts.
        repeat_before_ms: A notification accepted before this moment is repeated.
    """
    if logged is None:
        return bool(firing)
    if not firing <= logged.firing:
        return True
    if not firing:
        return bool(logged.firing)
    if send_resolved and not resolved <= logged.resolved:
        return True
    return logged.at_ms < repeat_before_ms
