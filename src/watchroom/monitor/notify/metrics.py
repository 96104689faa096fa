"""The numbers of delivery: our own names, and those of Alertmanager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.formats.exposition import family, render
from watchroom.monitor.dispatch.watchdog import HEARTBEAT

if TYPE_CHECKING:
    from watchroom.formats.exposition import Family
    from watchroom.monitor.services import Services


def as_alertmanager(services: Services) -> str:
    """Return the exposition that stands for Alertmanager's own."""
    return render([*notifications(services), *_silences(services)])


def families(services: Services) -> list[Family]:
    """Return what the monitor says of its deliveries beside Alertmanager's names."""
    return [
        *notifications(services),
        *_silences(services),
        family(
            "watchroom_heartbeat_accepted_timestamp_seconds",
            "gauge",
            "When somebody outside last accepted that the watch lives.",
            [
                ((("receiver", receiver),), at_ms / 1000)
                for receiver, at_ms in heartbeats(services).items()
            ],
        ),
        family(
            "watchroom_silences_refused_total",
            "counter",
            "Silences refused because there were too many.",
            [((), services.silences.refused)],
        ),
        family(
            "watchroom_alerts_refused_total",
            "counter",
            "Alerts from outside refused because there were too many.",
            [((), services.dispatcher.refused)],
        ),
    ]


def heartbeats(services: Services) -> dict[str, int]:
    """Return receiver → when it last accepted the alert that always fires (ms)."""
    return services.dispatcher.known().get(HEARTBEAT, {})


def has_heartbeat(services: Services) -> bool:
    """Return whether the alert that always fires reaches somebody outside."""
    now_ms = round(services.now() * 1000)
    reached = {
        receiver
        for view in services.dispatcher.alerts(now_ms)
        if ("alertname", HEARTBEAT) in view.alert.labels
        for receiver in view.receivers
    }
    return any(receiver in reached for receiver, _ in services.notifier.notified())


def notifications(services: Services) -> list[Family]:
    """Return Alertmanager's counters; `receiver_name` is its newer versions' label."""
    rows = [
        (
            (("integration", name.partition("[")[0]), ("receiver_name", receiver)),
            counted,
        )
        for (receiver, name), counted in services.notifier.notified().items()
    ]
    summed: dict[tuple[tuple[str, str], ...], tuple[int, int]] = {}
    for labels, (ended, failed) in rows:  # two webhooks of one receiver are one row
        before = summed.get(labels, (0, 0))
        summed[labels] = before[0] + ended, before[1] + failed
    return [
        family(
            "alertmanager_notifications_total",
            "counter",
            "Messages that were accepted, or were not in time.",
            [(labels, ended) for labels, (ended, _) in summed.items()],
        ),
        family(
            "alertmanager_notifications_failed_total",
            "counter",
            "Messages that were refused, or not accepted in time.",
            [(labels, failed) for labels, (_, failed) in summed.items()],
        ),
    ]


def _silences(services: Services) -> list[Family]:
    counts = services.silences.stats(round(services.now() * 1000))
    return [
        family(
            "alertmanager_silences",
            "gauge",
            "Silences by state.",
            [((("state", state),), count) for state, count in counts.items()],
        )
    ]
