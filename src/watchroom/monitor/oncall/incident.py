"""What an incident is, and which state can follow which."""

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
    """An alert of an incident.

    Attributes:
        labels: With the external labels.
        annotations: As last reported.
        began_ms: When it began to fire.
        ended_ms: When it stopped firing.
        series_missing: It ended only because its series are missing, so recovery isn't
            confirmed; None until that was checked.
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
    """An outage that was resolved before its incident fired again.

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
        group: The labels that name its alerts' group; empty if opened by hand.
        title: One line.
        priority: P1, P2 or P3.
        state: Its state.
        opened_ms: When it was opened.
        first_failure_ms: When the first alert of the current or last outage began, at
            the earliest.
        unacknowledged_ms: Since when it has waited for an acknowledgement.
        alerts: By fingerprint.
        priority_by: Who changed the priority; empty while it is the alerts' own.
        acknowledged_by, acknowledged_ms, reason: The current acknowledgement.
        mitigated_ms, resolved_ms, reviewed_ms: When it reached these states.
        escalated_ms, escalated_to: When the next contact was paged, and who that is.
        first_contact: Who is paged first, instead of the first in contacts.yml: the
            person whose acknowledgement timed out.
        title_from_page: Whether its title is that of an alert that was sent.
        added_receivers: Receivers that contacts.yml added to those of the routes.
        informed_pagers: PagerDuty services that accepted the acknowledgement.
        times: How often it fired; more than once is flapping.
        events: Number of entries in its timeline.
        events_dropped: Number of entries over the limit.
        opened_by: Who opened it by hand.
        reopened_ms: When it was last reopened.
        own_alerts: Fingerprints of the alerts by which a manually opened incident
            notifies people; the last is the current one.
        earlier_outages: The outages before the current one, oldest first.
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
        """Fingerprints of its alerts, and of those by which it notifies people."""
        return [*self.alerts, *self.own_alerts]

    @property
    def page_names(self) -> list[str]:
        """Names of the alerts by which a manually opened incident notifies people."""
        return [page_name(self.id)] if self.own_alerts else []

    @property
    def first_ms(self) -> int:
        """When the first of all its alerts began."""
        return min(
            [
                self.first_failure_ms,
                *(outage.first_failure_ms for outage in self.earlier_outages),
            ]
        )

    @property
    def detected_ms(self) -> int:
        """When it was opened, or last reopened."""
        return self.opened_ms if self.reopened_ms is None else self.reopened_ms

    @property
    def open(self) -> bool:
        """Whether it is not resolved."""
        return self.state in OPEN

    @property
    def firing(self) -> list[Firing]:
        """Its firing alerts, the longest first."""
        alerts = [alert for alert in self.alerts.values() if alert.ended_ms is None]
        return sorted(alerts, key=lambda alert: alert.began_ms)

    @property
    def unseen(self) -> list[Firing]:
        """Its alerts that ended only because their series are missing."""
        return [alert for alert in self.alerts.values() if alert.series_missing]

    @property
    def names(self) -> list[str]:
        """The names of its alerts, in order of arrival."""
        return list(dict.fromkeys(alert.name for alert in self.alerts.values()))


class Event(NamedTuple):
    """An entry of a timeline."""

    at_ms: int
    source: Source
    kind: str
    text: str
    author: str = ""


def concerns(labels: Mapping[str, str]) -> bool:
    """Return whether an alert opens incidents; a manual incident's own does not."""
    return opens_incident(labels) and not is_page_of_incident(labels)


def worst(alerts: dict[str, Firing]) -> str:
    """Return the most urgent priority among alerts."""
    return min((priority_of(firing.labels) for firing in alerts.values()), default="P3")


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
        names = ", ".join(dict.fromkeys(firing.name for firing in incident.firing))
        raise RefusedStepError(
            f"still firing: {names}. Incident {incident.id} resolves automatically "
            "when that stops; until then, mark it mitigated or silence it"
        )
