"""What an incident is, and which steps lead from one of its states to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from watchroom.errors import WatchroomError
from watchroom.monitor.alert import is_page_of_incident, page_name
from watchroom.urgency import opens_incident, priority_of

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["firing", "acknowledged", "mitigated", "resolved", "reviewed"]
Source = Literal["alert", "notifier", "person", "deploy", "monitor"]

OPEN: frozenset[str] = frozenset({"firing", "acknowledged", "mitigated"})
_FROM: dict[str, frozenset[str]] = {
    "acknowledged": frozenset({"firing"}),
    "mitigated": frozenset({"firing", "acknowledged"}),
    "resolved": OPEN,
    "reviewed": frozenset({"resolved"}),
}
_FROZEN: dict[str, Any] = {"frozen": True, "omit_defaults": True}


class RefusedStepError(WatchroomError):
    """An action does not fit an incident's state: HTTP 409."""


class Firing(msgspec.Struct, **_FROZEN):
    """An alert as an incident holds it.

    Attributes:
        labels: With the external labels.
        annotations: As of the last time it was heard of.
        began_ms: When it began to fire.
        ended_ms: When its rule stopped giving it.
        series_missing: It ended because its series are missing, which proves nothing;
            None until that was looked up.
    """

    labels: dict[str, str]
    annotations: dict[str, str]
    began_ms: int
    ended_ms: int | None = None
    series_missing: bool | None = None

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels.get("alertname", "an alert")


class Outage(msgspec.Struct, **_FROZEN):
    """A time that an incident was open and resolved, before it fired again.

    Attributes:
        first_failure_ms: When its first alert began, at the earliest.
        detected_ms: When it was opened, or reopened.
        resolved_ms: When it ended.
    """

    first_failure_ms: int
    detected_ms: int
    resolved_ms: int


class Incident(msgspec.Struct, **_FROZEN):
    """One incident, without its timeline.

    Attributes:
        id: Counts from 1.
        group: The labels by which its alerts are grouped; empty for one made by hand.
        title: In one line.
        priority: P1, P2 or P3.
        state: Where it stands.
        opened_ms: When it was opened.
        first_failure_ms: When the first alert of the outage that is open, or was the
            last, began, at the earliest.
        unacknowledged_ms: Since when it has waited for an acknowledgement.
        alerts: By fingerprint.
        priority_by: Who changed the priority; empty while it is the alerts' own.
        acknowledged_by, acknowledged_ms, reason: The acknowledgement in force.
        mitigated_ms, resolved_ms, reviewed_ms: When it came to these states.
        escalated_ms, escalated_to: When the next was told, and who that is.
        first_contact: Who is paged first instead of the first of contacts.yml: the
            person who acknowledged it too long ago.
        title_from_page: Whether an alert that was sent has given it its title.
        added_receivers: Receivers that contacts.yml added to those of the routes.
        informed_pagers: Pagers that took the acknowledgement.
        times: How often it fired; more than one is flapping.
        events: Entries of its timeline.
        events_dropped: Entries that were over the bound.
        opened_by: Who opened it by hand.
        reopened_ms: When it was last reopened.
        own_alerts: Fingerprints of the alerts by which one opened by hand notifies
            people, the last one as it is now.
        earlier_outages: The outages before that one, oldest first.
    """

    id: int
    group: dict[str, str]
    title: str
    priority: str
    state: State
    opened_ms: int
    first_failure_ms: int
    unacknowledged_ms: int
    alerts: dict[str, Firing] = {}
    priority_by: str = ""
    acknowledged_by: str = ""
    acknowledged_ms: int | None = None
    reason: str = ""
    mitigated_ms: int | None = None
    resolved_ms: int | None = None
    reviewed_ms: int | None = None
    escalated_ms: int | None = None
    escalated_to: str = ""
    first_contact: str = ""
    title_from_page: bool = False
    added_receivers: list[str] = []
    informed_pagers: list[str] = []
    times: int = 1
    events: int = 0
    events_dropped: int = 0
    opened_by: str = ""
    reopened_ms: int | None = None
    own_alerts: list[str] = []
    earlier_outages: list[Outage] = []

    @property
    def fingerprints(self) -> list[str]:
        """Of its alerts, and of those by which it notifies people itself."""
        return [*self.alerts, *self.own_alerts]

    @property
    def page_names(self) -> list[str]:
        """Names of the alerts by which it notifies people itself."""
        return [page_name(self.id)] if self.own_alerts else []

    @property
    def first_ms(self) -> int:
        """When the first of all its alerts began."""
        return min(
            [
                self.first_failure_ms,
                *(one.first_failure_ms for one in self.earlier_outages),
            ]
        )

    @property
    def detected_ms(self) -> int:
        """When it was opened, or last reopened."""
        return self.opened_ms if self.reopened_ms is None else self.reopened_ms

    @property
    def open(self) -> bool:
        """Whether it is not over."""
        return self.state in OPEN

    @property
    def firing(self) -> list[Firing]:
        """Its alerts that fire, the longest first."""
        found = [alert for alert in self.alerts.values() if alert.ended_ms is None]
        return sorted(found, key=lambda alert: alert.began_ms)

    @property
    def unseen(self) -> list[Firing]:
        """Its alerts that ended only because their series are missing."""
        return [alert for alert in self.alerts.values() if alert.series_missing]

    @property
    def names(self) -> list[str]:
        """The names of its alerts, in the order in which they came."""
        return list(dict.fromkeys(alert.name for alert in self.alerts.values()))


class Event(NamedTuple):
    """An entry of a timeline."""

    at_ms: int
    source: Source
    kind: str
    text: str
    author: str = ""


def concerns(labels: Mapping[str, str]) -> bool:
    """Return whether an alert opens incidents: not the one that an incident sends."""
    return opens_incident(labels) and not is_page_of_incident(labels)


def worst(alerts: dict[str, Firing]) -> str:
    """Return the most urgent priority among alerts."""
    return min((priority_of(one.labels) for one in alerts.values()), default="P3")


def check(incident: Incident, to: str) -> None:
    """Raise unless `to` can follow the state of `incident`.

    Raises:
        RefusedStepError: It says why.
    """
    if incident.state == to:
        who = incident.acknowledged_by
        by = f" by {who}" if to == "acknowledged" and who else ""
        raise RefusedStepError(f"incident {incident.id} is already {to}{by}")
    if incident.state not in _FROM[to]:
        raise RefusedStepError(
            f"incident {incident.id} is {incident.state}, and can't become {to}"
        )
    if to == "resolved" and incident.firing:
        names = ", ".join(dict.fromkeys(one.name for one in incident.firing))
        raise RefusedStepError(
            f"still firing: {names}. Incident {incident.id} resolves automatically "
            "when that stops; until then, mark it mitigated or silence it"
        )
