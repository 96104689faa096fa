"""Metrics of delivery, under our own names and Alertmanager's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from watchroom.formats.exposition import family, render
from watchroom.urgency import HEARTBEAT

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.formats.exposition import Family
    from watchroom.monitor.dispatch.dispatcher import Dispatcher
    from watchroom.monitor.notify.notifier import Notifier
    from watchroom.monitor.routing.silences import Silences


class Parts(Protocol):
    """The parts of a running monitor that these metrics come from."""

    @property
    def dispatcher(self) -> Dispatcher:
        """Has the log of accepted notifications."""

    @property
    def notifier(self) -> Notifier:
        """Counts deliveries."""

    @property
    def silences(self) -> Silences:
        """The silences."""

    @property
    def now(self) -> Callable[[], float]:
        """The time, in epoch seconds."""


def as_alertmanager(parts: Parts) -> str:
    """Return the exposition that takes the place of Alertmanager's own."""
    return render([*notifications(parts), *_silences(parts)])


def families(parts: Parts) -> list[Family]:
    """Return every metric of deliveries, Alertmanager's names included."""
    return [
        *notifications(parts),
        *_silences(parts),
        family(
            "watchroom_heartbeat_accepted_timestamp_seconds",
            "gauge",
            "When the external heartbeat was last accepted.",
            [
                ((("receiver", receiver),), at_ms / 1000)
                for receiver, at_ms in heartbeats(parts).items()
            ],
        ),
        family(
            "watchroom_silences_refused_total",
            "counter",
            "Silences refused because there were too many.",
            [((), parts.silences.refused)],
        ),
        family(
            "watchroom_alerts_refused_total",
            "counter",
            "Posted alerts refused because there were too many.",
            [((), parts.dispatcher.refused)],
        ),
    ]


def heartbeats(parts: Parts) -> dict[str, int]:
    """Return receiver → when it last accepted the alert that always fires (ms)."""
    return parts.dispatcher.known().get(HEARTBEAT, {})


def has_heartbeat(parts: Parts) -> bool:
    """Return whether the alert that always fires reaches a receiver outside."""
    now_ms = round(parts.now() * 1000)
    reached = {
        receiver
        for view in parts.dispatcher.alerts(now_ms)
        if ("alertname", HEARTBEAT) in view.alert.labels
        for receiver in view.receivers
    }
    return any(receiver in reached for receiver, _ in parts.notifier.notified())


def notifications(parts: Parts) -> list[Family]:
    """Return Alertmanager's counters; `receiver_name` is its newer versions' label."""
    rows = [
        (
            (("integration", name.partition("[")[0]), ("receiver_name", receiver)),
            counted,
        )
        for (receiver, name), counted in parts.notifier.notified().items()
    ]
    summed: dict[tuple[tuple[str, str], ...], tuple[int, int]] = {}
    for labels, (ended, failed) in rows:  # two webhooks of one receiver are one row
        before = summed.get(labels, (0, 0))
        summed[labels] = before[0] + ended, before[1] + failed
    return [
        family(
            "alertmanager_notifications_total",
            "counter",
            "Notifications that were accepted or given up.",
            [(labels, ended) for labels, (ended, _) in summed.items()],
        ),
        family(
            "alertmanager_notifications_failed_total",
            "counter",
            "Notifications that were refused or given up.",
            [(labels, failed) for labels, (_, failed) in summed.items()],
        ),
    ]


def _silences(parts: Parts) -> list[Family]:
    counts = parts.silences.stats(round(parts.now() * 1000))
    return [
        family(
            "alertmanager_silences",
            "gauge",
            "Silences by state.",
            [((("state", state),), count) for state, count in counts.items()],
        )
    ]
