"""The open incidents: opened by alerts, changed by people, kept in state.db."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from watchroom.errors import StoreError
from watchroom.monitor.oncall import fault, timeline, transitions
from watchroom.monitor.oncall.incident import (
    Event,
    Incident,
    RefusedStepError,
    check,
    concerns,
)
from watchroom.promql.model import labels_of, matches_all
from watchroom.urgency import priority_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from watchroom.monitor.alert import Alert
    from watchroom.monitor.oncall.records import Deploy, Records
    from watchroom.monitor.routing.routing import Place
    from watchroom.promql.model import Labels, Matcher

_LOG = logging.getLogger(__name__)

REOPEN_MS = 30 * 60_000
"""A group that fires again within this time of its end reopens its incident."""

UNREPORTED_MS = 5 * 60_000
"""Alerts of the previous process end when they aren't reported for this long."""

MOST_OPEN = 500
"""Open incidents at once; further alerts still page, and are counted."""

MOST_EVENTS = 500
"""Entries of a timeline that machines may add; its end is always recorded."""

MOST_NOTES = 1000
"""Entries of a timeline in all; a person's change of state is never refused."""

_MOST_ALERTS = 200
_TEXT = 4000
_DEPLOY_MS = 3_600_000


class Incidents:
    """Every open incident and those resolved lately, in memory and on disk.

    Changes go through the writer of state.db in order: an incident is on disk before
    the delivery of the page that names it. Methods may be called from any thread.
    Those for people's actions return a future that is done when the action is on disk.

    Args:
        records: state.db.
        places: Asks routing about alerts' labels at a time in ms; called without our
            lock (see `monitor.routing.routing` for the order of locks).
        deploys: Returns the deployments between two times in ms, newest first.
        now_ms: Now.
    """

    def __init__(
        self,
        records: Records,
        *,
        places: Callable[[Sequence[Labels], int], Sequence[Place]],
        deploys: Callable[[int, int], Sequence[Deploy]],
        now_ms: Callable[[], int],
    ) -> None:
        self._records = records
        self._places = places
        self._deploys = deploys
        self._now_ms = now_ms
        self._lock = threading.RLock()
        self._last = records.last_incident()
        live = records.live(now_ms() - REOPEN_MS)
        self._live = {incident.id: incident for incident in live}
        self._started_ms = now_ms()
        # Posted alerts may be among them, which no rule reports again.
        self._unreported = {
            name for known in live for name in known.alerts if known.open
        }
        # Fingerprint → incident of alerts over its limit; rules report them at a start.
        self._unstored: dict[str, int] = {}
        self._counts = dict.fromkeys(
            (
                *("opened", "reopened", "not_opened", "forgotten"),
                *("events_dropped", "write_failures"),
            ),
            0,
        )

    # What alerts do.

    def receive(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take new, firing or resolved alerts, after routing has taken them."""
        new = []
        for alert in alerts:
            self._unreported.discard(alert.fingerprint)
            if not concerns(dict(alert.labels)):
                continue
            if alert.resolved(now_ms):
                self._end_alert(alert, now_ms)
            elif not self._still_fires(alert):
                new.append(alert)
        if not new:
            return
        places = self._places([alert.labels for alert in new], now_ms)
        for alert, place in zip(new, places, strict=True):
            if not place.muted or self._belongs(alert, place.group, now_ms):
                self.add_firing(alert, place.group, now_ms, muted=place.muted)

    def _still_fires(self, alert: Alert) -> bool:
        """Return whether an alert is known to fire; update its annotations.

        They are written with the next change only: rules report them all the time.
        """
        with self._lock:
            incident = self._by_fingerprint(alert.fingerprint)
            if incident is None or not incident.open:
                return self._over_limit(alert.fingerprint) is not None
            if incident.alerts[alert.fingerprint].ended_ms is not None:
                return False
            self._live[incident.id] = transitions.updated(incident, alert)
            return True

    def _belongs(self, alert: Alert, group: Labels, now_ms: int) -> bool:
        """Return whether a muted alert is part of an open incident."""
        with self._lock:
            home = self._incident_for(alert, dict(group), now_ms, muted=True)
            return home is not None

    def add_firing(
        self, alert: Alert, group: Labels, now_ms: int, *, muted: bool = False
    ) -> Incident | None:
        """Put a firing alert into the incident it belongs to, or open one.

        It belongs to the incident of its group, or to one about the same fault.

        Args:
            alert: The firing alert.
            group: The labels that name its group.
            now_ms: Now.
            muted: It notifies nobody.

        Returns None when too many incidents are open.
        """
        with self._lock:
            known = self._by_fingerprint(alert.fingerprint)
            if known is not None and self._still_fires(alert):
                return known
            if known is None or not known.open:
                home = self._incident_for(alert, dict(group), now_ms, muted=muted)
                known = home or self._in_group(dict(group)) or known
            if known is None or not _continues(known, now_ms):
                return self._open(alert, group, now_ms)
            if not known.open:
                self._counts["reopened"] += 1
                changed, event = transitions.reopened(known, alert, now_ms)
            elif alert.fingerprint in known.alerts or len(known.alerts) < _MOST_ALERTS:
                changed, event = transitions.joined(
                    known, alert, group, now_ms, muted=muted
                )
            else:
                self._counts["events_dropped"] += 1
                self._unstored[alert.fingerprint] = known.id
                return known
            return self._saved(changed, event)

    def retitle(self, alert: Alert, group: Labels) -> None:
        """Name an incident after the first of its most urgent alerts to be notified.

        Of alerts that begin together, routing decides later which is first.
        """
        with self._lock:
            incident = self._by_fingerprint(alert.fingerprint)
            if incident is None or not incident.open or incident.title_from_page:
                return
            if priority_of(dict(alert.labels)) == incident.priority:
                self._live[incident.id] = transitions.titled(incident, alert, group)

    def _over_limit(self, fingerprint: str) -> Incident | None:
        """Return the open incident of an alert that its limit of alerts excludes."""
        incident = self._live.get(self._unstored.get(fingerprint, 0))
        return incident if incident is not None and incident.open else None

    def _has_unstored(self, incident: Incident) -> bool:
        """Return whether alerts over an incident's limit are firing."""
        return incident.id in self._unstored.values()

    def _incident_for(
        self, alert: Alert, group: dict[str, str], now_ms: int, *, muted: bool
    ) -> Incident | None:
        """Return the open incident of an alert: its group's, or one of its fault.

        Of several, the most urgent, then the oldest.
        """
        incident = self._in_group(group)
        if incident is not None and incident.open:
            return incident
        new = fault.fault_alert(transitions.firing_of(alert), alert.active_at_ms)
        return next(
            (old for old in self.open() if fault.joins(new, old, now_ms, muted=muted)),
            None,
        )

    def _open(self, alert: Alert, group: Labels, now_ms: int) -> Incident | None:
        if self._too_many_open():
            self._counts["not_opened"] += 1
            return None
        self._last += 1
        self._counts["opened"] += 1
        incident = transitions.opened(self._last, alert, group, now_ms)
        first = incident.first_failure_ms
        before = self._deploys(first - _DEPLOY_MS, now_ms)[:3]
        fired = timeline.fired(transitions.firing_of(alert), "started firing")
        events = [timeline.deployed(deploy, first) for deploy in reversed(before)]
        return self._saved(incident, *events, fired)

    def _too_many_open(self) -> bool:
        return sum(incident.open for incident in self._live.values()) >= MOST_OPEN

    def _end_alert(self, alert: Alert, now_ms: int) -> None:
        """Record that an alert ended; whether it recovered is checked later."""
        with self._lock:
            beyond = self._over_limit(alert.fingerprint)
            self._unstored.pop(alert.fingerprint, None)
            if beyond is not None:
                self._confirm(beyond, {}, now_ms)
            incident = self._by_fingerprint(alert.fingerprint)
            if incident is None or not incident.open:
                return
            firing = incident.alerts[alert.fingerprint]
            if firing.ended_ms is not None:
                return
            ended = replace(
                firing, ended_ms=alert.ends_at_ms or now_ms, series_missing=None
            )
            alerts = {**incident.alerts, alert.fingerprint: ended}
            self._saved(replace(incident, alerts=alerts))

    def end_unreported(self, now_ms: int) -> None:
        """End alerts of the previous process that were not reported since."""
        if not self._unreported or now_ms - self._started_ms < UNREPORTED_MS:
            return
        with self._lock:
            names, self._unreported = self._unreported, set()
            for incident in self.open():
                changed = transitions.with_ended(incident, names, now_ms)
                if changed != incident:
                    self._saved(changed)

    def unconfirmed(self) -> list[Incident]:
        """Return open incidents with an ended alert whose recovery isn't confirmed."""
        with self._lock:
            return [
                incident
                for incident in self._live.values()
                if incident.open
                and any(
                    firing.ended_ms is not None and firing.series_missing is not False
                    for firing in incident.alerts.values()
                )
            ]

    def confirm(self, number: int, missing: Mapping[str, bool], now_ms: int) -> None:
        """Take the check of ended alerts: fingerprint → whether series are missing."""
        with self._lock:
            incident = self._live.get(number)
            if incident is None or not incident.open:
                return
            self._confirm(incident, missing, now_ms)

    def _confirm(
        self, incident: Incident, missing: Mapping[str, bool], now_ms: int
    ) -> None:
        """Take the check; resolve the incident once all its alerts have recovered."""
        more = self._has_unstored(incident)
        changed, events = transitions.confirmed(incident, missing, now_ms, more=more)
        if events:
            self._saved(changed, *events)

    def add(self, fingerprints: Collection[str], event: Event) -> None:
        """Add an entry to the incidents of these alerts, open or lately resolved."""
        with self._lock:
            incidents = map(self._by_fingerprint, fingerprints)
            for number in sorted(
                {known.id for known in incidents if known is not None}
            ):
                self._saved(self._live[number], event)

    def add_matching(self, matchers: Sequence[Matcher], event: Event) -> None:
        """Add an entry to every open incident with an alert that these match."""
        with self._lock:
            for incident in self.open():
                alerts = incident.alerts.values()
                if any(matches_all(matchers, labels_of(a.labels)) for a in alerts):
                    self._saved(incident, event)

    def add_to_open(self, event: Callable[[Incident], Event]) -> None:
        """Add an entry to every open incident."""
        with self._lock:
            for incident in self.open():
                self._saved(incident, event(incident))

    def update(
        self,
        fingerprints: Iterable[str],
        step: Callable[[Incident], tuple[Incident, *tuple[Event, ...]] | None],
    ) -> Incident | None:
        """Return the incident of these alerts, as changed by `step` if it is."""
        with self._lock:
            incident = self.holding(fingerprints)
            following = None if incident is None else step(incident)
            return incident if following is None else self._saved(*following)

    # What people do.

    def act(
        self, number: int, event: Event, *, to: str = "", **changes: Any
    ) -> tuple[Incident, Future[int]]:
        """Change an incident and record that in its timeline.

        Raises:
            KeyError: No incident has that number.
            RefusedStepError: Its state can't change to `to`, or the action is only an
                entry and the timeline is full.
        """
        known = self.get(number)  # may read the disk, so outside the lock
        with self._lock:
            incident = self._live.get(number) or known
            if incident is None:
                raise KeyError(number)
            if to == "resolved" and self._has_unstored(incident):
                raise RefusedStepError(f"alerts of incident {number} are still firing")
            if to:
                check(incident, to)
            elif incident.events >= MOST_NOTES:
                raise RefusedStepError(
                    f"the timeline of incident {number} is full ({MOST_NOTES} entries)"
                )
            state = {"state": to} if to else {}
            return self._write(replace(incident, **state, **changes), [event])

    def create(
        self, title: str, priority: str, by: str, now_ms: int
    ) -> tuple[Incident, Future[int]]:
        """Open an incident by hand.

        Raises:
            RefusedStepError: Too many incidents are open.
        """
        with self._lock:
            if self._too_many_open():
                raise RefusedStepError(f"{MOST_OPEN} incidents are already open")
            self._last += 1
            self._counts["opened"] += 1
            incident = transitions.by_hand(self._last, title, priority, by, now_ms)
            return self._write(incident, [Event(now_ms, "person", "opened", title, by)])

    def set_own_alert(self, number: int, fingerprint: str) -> None:
        """Set the alert by which a manually opened incident notifies from now on."""
        with self._lock:
            incident = self._live.get(number)
            if incident is not None:
                others = [name for name in incident.own_alerts if name != fingerprint]
                self._saved(replace(incident, own_alerts=[*others, fingerprint]))

    # Questions.

    def by_hand(self) -> list[Incident]:
        """Return manually opened incidents: open or lately resolved."""
        with self._lock:
            return [incident for incident in self._live.values() if incident.opened_by]

    def get(self, number: int) -> Incident | None:
        """Return one incident; may read the disk."""
        with self._lock:
            incident = self._live.get(number)
        return incident or self._records.incident(number)

    def holding(self, fingerprints: Iterable[str]) -> Incident | None:
        """Return the open or lately resolved incident of any of these alerts."""
        with self._lock:
            for name in fingerprints:
                incident = self._by_fingerprint(name) or self._over_limit(name)
                if incident is not None:
                    return incident
        return None

    def open(self) -> list[Incident]:
        """Return the open incidents: the most urgent first, then the oldest."""
        with self._lock:
            incidents = [known for known in self._live.values() if known.open]
        return sorted(
            incidents,
            key=lambda known: (known.priority, known.state != "firing", known.id),
        )

    def stats(self) -> dict[str, float]:
        """Return counts since the start, and how many are open."""
        with self._lock:
            counts: dict[str, float] = {
                f"{name}_total": count for name, count in self._counts.items()
            }
            counts["open"] = sum(incident.open for incident in self._live.values())
        return counts

    # Inside, under the lock.

    def _by_fingerprint(self, fingerprint: str) -> Incident | None:
        """Return an alert's incident in memory: an open one, else the last."""
        return _open_or_last(
            incident
            for incident in self._live.values()
            if fingerprint in incident.alerts or fingerprint in incident.own_alerts
        )

    def _in_group(self, group: dict[str, str]) -> Incident | None:
        return _open_or_last(
            incident
            for incident in self._live.values()
            if incident.alerts and (incident.group == group or _holds(incident, group))
        )

    def _saved(self, incident: Incident, *events: Event) -> Incident:
        """Store an incident; entries over the timeline's limit are dropped, counted."""
        entries: list[Event] = []
        for event in events:
            most = MOST_NOTES if event.kind == "resolved" else MOST_EVENTS
            if incident.events + len(entries) < most:
                entries.append(event)
        lost = len(events) - len(entries)
        if lost:
            self._counts["events_dropped"] += lost
            incident = replace(incident, events_dropped=incident.events_dropped + lost)
        return self._write(incident, entries)[0]

    def _write(
        self, incident: Incident, events: Sequence[Event]
    ) -> tuple[Incident, Future[int]]:
        entries = [event._replace(text=event.text[:_TEXT]) for event in events]
        incident = replace(incident, events=incident.events + len(entries))
        self._expire()  # first, or it may drop this incident
        self._live[incident.id] = incident
        written = self._records.save(incident, entries)
        written.add_done_callback(self._done)
        return incident, written

    def _done(self, written: Future[int]) -> None:
        error = written.exception()
        if error is None:
            self._counts["forgotten"] += written.result()
            return
        self._counts["write_failures"] += 1
        if not isinstance(error, StoreError):
            _LOG.error("an incident could not be saved: %s", error)

    def _expire(self) -> None:
        """Drop from memory incidents that ended too long ago to be reopened."""
        before = self._now_ms() - REOPEN_MS
        for incident in list(self._live.values()):
            ended_ms = incident.resolved_ms or incident.opened_ms
            if not incident.open and ended_ms < before:
                del self._live[incident.id]
                unstored = self._unstored.items()
                self._unstored = {k: n for k, n in unstored if n != incident.id}


def _holds(incident: Incident, group: dict[str, str]) -> bool:
    """Return whether an alert of a group is part of an open incident of another."""
    return (
        incident.open
        and bool(group)
        and any(group.items() <= a.labels.items() for a in incident.alerts.values())
    )


def _open_or_last(incidents: Iterable[Incident]) -> Incident | None:
    return max(incidents, key=lambda known: (known.open, known.id), default=None)


def _continues(known: Incident, now_ms: int) -> bool:
    """Return whether a group that fires now continues a known incident."""
    if known.open:
        return True
    return known.state == "resolved" and now_ms - (known.resolved_ms or 0) < REOPEN_MS
