"""Alertmanager's webhook body, version 4."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

Pairs = tuple[tuple[str, str], ...]


class WebhookAlert(NamedTuple):
    """One alert of a body.

    Attributes:
        labels: Sorted by name.
        annotations: Sorted by name.
        starts_at_ms: Milliseconds since the epoch.
        ends_at_ms: The same, or None while it fires.
        generator_url: Where its expression can be looked at.
        fingerprint: Its identity.
    """

    labels: Pairs
    annotations: Pairs
    starts_at_ms: int
    ends_at_ms: int | None
    generator_url: str
    fingerprint: str


def payload(
    alerts: Sequence[WebhookAlert],
    *,
    receiver: str,
    group_labels: Pairs,
    group_key: str,
    external_url: str,
    truncated: int = 0,
) -> dict[str, Any]:
    """Return the body, its keys in Alertmanager's order."""
    firing = any(alert.ends_at_ms is None for alert in alerts)
    return {
        "receiver": receiver,
        "status": "firing" if firing else "resolved",
        "alerts": [_alert(alert) for alert in alerts],
        "groupLabels": dict(group_labels),
        "commonLabels": _common([alert.labels for alert in alerts]),
        "commonAnnotations": _common([alert.annotations for alert in alerts]),
        "externalURL": external_url,
        "version": "4",
        "groupKey": group_key,
        "truncatedAlerts": truncated,
    }


def _alert(alert: WebhookAlert) -> dict[str, Any]:
    return {
        "status": "firing" if alert.ends_at_ms is None else "resolved",
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": _time(alert.starts_at_ms),
        "endsAt": _time(alert.ends_at_ms),
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def _time(at_ms: int | None) -> str:
    """Return a time as Go writes it; None is Go's zero time."""
    if at_ms is None:
        return "0001-01-01T00:00:00Z"
    seconds, millis = divmod(at_ms, 1000)
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC)
    fraction = f".{millis:03d}".rstrip("0") if millis else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _common(sets: Sequence[Pairs]) -> dict[str, str]:
    """Return the pairs that are in every one of `sets`."""
    if not sets:
        return {}
    shared = set(sets[0]).intersection(*sets[1:])
    return dict(sorted(shared))
