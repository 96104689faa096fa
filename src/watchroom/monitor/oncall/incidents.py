"""The open incidents: opened by alerts, moved by people, written before they count."""

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
"""A group that fires again within this time of its end continues its incident."""

UNHEARD_MS = 5 * 60_000
"""What the process before heard of is over when nobody says so again for this long."""

MOST_OPEN = 500
"""Open incidents at once; alerts beyond page all the same, and are counted."""

MOST_EVENTS = 500
"""Entries of a timeline that machines may fill; that it is over stands in it anyhow."""

MOST_NOTES = 1000
"""Entries of a timeline in all; steps that people take are never refused for it."""

_MOST_ALERTS = 200
_TEXT = 4000
_DEPLOY_MS = 3_600_000


class Incidents:
    """Every open incident and those that ended lately, in memory and on disk.

    What is written goes through the one writer of state.db in the order in which it
    was asked for: an incident is on disk before the intent of the page that names it.
    Methods may be called from any thread. Those by which people act give a future that
    is done when the act is on disk.

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
        self._live = {one.id: one for one in records.live(now_ms() - REOPEN_MS)}
        self._started_ms = now_ms()
        self._unheard = {  # alerts from outside may be among them: nobody keeps those
            name for one in self._live.values() for name in one.alerts if one.open
        }
        # What fires and found no room in its incident; rules say it anew after a start.
        self._beyond: dict[str, int] = {}
        self._counts = dict.fromkeys(
            (
                *("opened", "reopened", "not_opened", "forgotten"),
                *("events_dropped", "write_failures"),
            ),
            0,
        )

    # What alerts do.

    def receive(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take news of alerts, after routing has taken them."""
        news = []
        for alert in alerts:
            self._unheard.discard(alert.fingerprint)
            if not concerns(dict(alert.labels)):
                continue
            if alert.resolved(now_ms):
                self._ends(alert, now_ms)
            elif not self._goes_on(alert):
                news.append(alert)
        if not news:
            return
        places = self._places([alert.labels for alert in news], now_ms)
        for alert, place in zip(news, places, strict=True):
            if not place.muted or self._held(alert, place.group, now_ms):
                self.fires(alert, place.group, now_ms, muted=place.muted)

    def _goes_on(self, alert: Alert) -> bool:
        """Return whether an alert is known to fire; take what it says now.

        That is written with the next change only: rules say it anew all the time.
        """
        with self._lock:
            found = self._of(alert.fingerprint)
            if found is None or not found.open:
                return self._without_room(alert.fingerprint) is not None
            if found.alerts[alert.fingerprint].ended_ms is not None:
                return False
            self._live[found.id] = transitions.heard(found, alert)
            return True

    def _held(self, alert: Alert, group: Labels, now_ms: int) -> bool:
        """Return whether an alert that pages nobody is part of an open incident."""
        with self._lock:
            return self._home(alert, dict(group), now_ms, muted=True) is not None

    def fires(
        self, alert: Alert, group: Labels, now_ms: int, *, muted: bool = False
    ) -> Incident | None:
        """Put a firing alert into the incident it belongs to, or open one.

        That is the one of its group, or one whose fault it is a part of.

        Args:
            alert: What fires.
            group: The labels that name its group.
            now_ms: Now.
            muted: It notifies nobody.

        Returns None when there are too many open ones.
        """
        with self._lock:
            known = self._of(alert.fingerprint)
            if known is not None and self._goes_on(alert):
                return known
            if known is None or not known.open:
                home = self._home(alert, dict(group), now_ms, muted=muted)
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
                self._beyond[alert.fingerprint] = known.id
                return known
            return self._saved(changed, event)

    def told(self, alert: Alert, group: Labels) -> None:
        """Name an incident after the first of its most urgent alerts to be told of.

        Which of those that begin together that is, routing finds out later.
        """
        with self._lock:
            found = self._of(alert.fingerprint)
            if found is None or not found.open or found.title_from_page:
                return
            if priority_of(dict(alert.labels)) == found.priority:
                self._live[found.id] = transitions.titled(found, alert, group)

    def _without_room(self, fingerprint: str) -> Incident | None:
        """Return the open incident that an alert is part of and has no room in."""
        found = self._live.get(self._beyond.get(fingerprint, 0))
        return found if found is not None and found.open else None

    def _full(self, incident: Incident) -> bool:
        """Return whether alerts of an incident fire that it does not hold."""
        return incident.id in self._beyond.values()

    def _home(
        self, alert: Alert, group: dict[str, str], now_ms: int, *, muted: bool
    ) -> Incident | None:
        """Return the open incident that an alert belongs to: its group's, or a fault's.

        Of several the most urgent, then the oldest.
        """
        found = self._in_group(group)
        if found is not None and found.open:
            return found
        new = fault.part(transitions.firing_of(alert), alert.active_at_ms)
        return next(
            (one for one in self.open() if fault.joins(new, one, now_ms, muted=muted)),
            None,
        )

    def _open(self, alert: Alert, group: Labels, now_ms: int) -> Incident | None:
        if self._crowded():
            self._counts["not_opened"] += 1
            return None
        self._last += 1
        self._counts["opened"] += 1
        incident = transitions.opened(self._last, alert, group, now_ms)
        first = incident.first_failure_ms
        before = self._deploys(first - _DEPLOY_MS, now_ms)[:3]
        fired = timeline.fired(transitions.firing_of(alert), "started firing")
        events = [timeline.deployed(one, first) for one in reversed(before)]
        return self._saved(incident, *events, fired)

    def _crowded(self) -> bool:
        return sum(one.open for one in self._live.values()) >= MOST_OPEN

    def _ends(self, alert: Alert, now_ms: int) -> None:
        """Note that a rule stopped giving an alert; why it did is judged later."""
        with self._lock:
            beyond = self._without_room(alert.fingerprint)
            self._beyond.pop(alert.fingerprint, None)
            if beyond is not None:
                self._resolves(beyond, {}, now_ms)
            found = self._of(alert.fingerprint)
            if found is None or not found.open:
                return
            firing = found.alerts[alert.fingerprint]
            if firing.ended_ms is not None:
                return
            ended = replace(
                firing, ended_ms=alert.ends_at_ms or now_ms, series_missing=None
            )
            alerts = {**found.alerts, alert.fingerprint: ended}
            self._saved(replace(found, alerts=alerts))

    def end_unheard(self, now_ms: int) -> None:
        """End what fired for the process before, if nobody spoke of it since."""
        if not self._unheard or now_ms - self._started_ms < UNHEARD_MS:
            return
        with self._lock:
            names, self._unheard = self._unheard, set()
            for one in self.open():
                changed = transitions.unheard(one, names, now_ms)
                if changed != one:
                    self._saved(changed)

    def unjudged(self) -> list[Incident]:
        """Return open incidents with an ended alert that may only be unseen."""
        with self._lock:
            return [
                one
                for one in self._live.values()
                if one.open
                and any(
                    firing.ended_ms is not None and firing.series_missing is not False
                    for firing in one.alerts.values()
                )
            ]

    def judge(self, number: int, gone: Mapping[str, bool], now_ms: int) -> None:
        """Take what was found out about ended alerts: fingerprint → series missing."""
        with self._lock:
            found = self._live.get(number)
            if found is None or not found.open:
                return
            self._resolves(found, gone, now_ms)

    def _resolves(self, found: Incident, gone: Mapping[str, bool], now_ms: int) -> None:
        """Take what was found out; resolved once none of its alerts is firing."""
        more = self._full(found)
        changed, events = transitions.judged(found, gone, now_ms, more=more)
        if events:
            self._saved(changed, *events)

    def add(self, fingerprints: Collection[str], event: Event) -> None:
        """Add an entry to the incidents of these alerts, open or just over."""
        with self._lock:
            found = (self._of(name) for name in fingerprints)
            for number in sorted({one.id for one in found if one is not None}):
                self._saved(self._live[number], event)

    def add_matching(self, matchers: Sequence[Matcher], event: Event) -> None:
        """Add an entry to every open incident with an alert that these match."""
        with self._lock:
            for one in self.open():
                labels = [labels_of(firing.labels) for firing in one.alerts.values()]
                if any(matches_all(matchers, each) for each in labels):
                    self._saved(one, event)

    def add_to_open(self, event: Callable[[Incident], Event]) -> None:
        """Add an entry to every open incident."""
        with self._lock:
            for one in self.open():
                self._saved(one, event(one))

    def update(
        self,
        fingerprints: Iterable[str],
        step: Callable[[Incident], tuple[Incident, *tuple[Event, ...]] | None],
    ) -> Incident | None:
        """Return the incident of these alerts, after `step` if that gives a next."""
        with self._lock:
            found = self.holding(fingerprints)
            following = None if found is None else step(found)
            return found if following is None else self._saved(*following)

    # What people do.

    def act(
        self, number: int, event: Event, *, to: str = "", **changes: Any
    ) -> tuple[Incident, Future[int]]:
        """Change an incident and say so in its timeline.

        Raises:
            KeyError: No incident has that number.
            RefusedStepError: It is not in a state that leads to `to`, or it is a mere
                entry and the timeline is full.
        """
        known = self.get(number)  # before the lock: routing waits for that
        with self._lock:
            found = self._live.get(number) or known
            if found is None:
                raise KeyError(number)
            if to == "resolved" and self._full(found):
                raise RefusedStepError(f"alerts of incident {number} are still firing")
            if to:
                check(found, to)
            elif found.events >= MOST_NOTES:
                raise RefusedStepError(
                    f"the timeline of incident {number} is full ({MOST_NOTES} entries)"
                )
            state = {"state": to} if to else {}
            return self._write(replace(found, **state, **changes), [event])

    def create(
        self, title: str, priority: str, by: str, now_ms: int
    ) -> tuple[Incident, Future[int]]:
        """Open an incident by hand.

        Raises:
            RefusedStepError: There are too many open ones.
        """
        with self._lock:
            if self._crowded():
                raise RefusedStepError(f"{MOST_OPEN} incidents are already open")
            self._last += 1
            self._counts["opened"] += 1
            incident = transitions.by_hand(self._last, title, priority, by, now_ms)
            return self._write(incident, [Event(now_ms, "person", "opened", title, by)])

    def pages_by(self, number: int, fingerprint: str) -> None:
        """Note by which alert an incident opened by hand notifies people from now."""
        with self._lock:
            found = self._live.get(number)
            if found is not None:
                kept = [one for one in found.own_alerts if one != fingerprint]
                self._saved(replace(found, own_alerts=[*kept, fingerprint]))

    # Questions.

    def by_hand(self) -> list[Incident]:
        """Return those that people opened: the open and the lately ended ones."""
        with self._lock:
            return [one for one in self._live.values() if one.opened_by]

    def get(self, number: int) -> Incident | None:
        """Return one incident; may read the disk."""
        with self._lock:
            found = self._live.get(number)
        return found or self._records.incident(number)

    def holding(self, fingerprints: Iterable[str]) -> Incident | None:
        """Return the open or lately ended incident of any of these alerts."""
        with self._lock:
            for name in fingerprints:
                found = self._of(name) or self._without_room(name)
                if found is not None:
                    return found
        return None

    def open(self) -> list[Incident]:
        """Return the open incidents: most urgent first, then the oldest."""
        with self._lock:
            found = [one for one in self._live.values() if one.open]
        return sorted(
            found, key=lambda one: (one.priority, one.state != "firing", one.id)
        )

    def stats(self) -> dict[str, float]:
        """Return counts since the start, and how many are open."""
        with self._lock:
            found: dict[str, float] = {
                f"{name}_total": count for name, count in self._counts.items()
            }
            found["open"] = sum(one.open for one in self._live.values())
        return found

    # Inside, under the lock.

    def _of(self, fingerprint: str) -> Incident | None:
        """Return the live incident that holds an alert: an open one, else the last."""
        found = [
            one
            for one in self._live.values()
            if fingerprint in one.alerts or fingerprint in one.own_alerts
        ]
        return max(found, key=lambda one: (one.open, one.id), default=None)

    def _in_group(self, group: dict[str, str]) -> Incident | None:
        found = [one for one in self._live.values() if one.alerts]
        found = [one for one in found if one.group == group or _holds(one, group)]
        return max(found, key=lambda one: (one.open, one.id), default=None)

    def _saved(self, incident: Incident, *events: Event) -> Incident:
        """Keep an incident and have it written; a full timeline drops and counts."""
        kept: list[Event] = []
        for event in events:
            most = MOST_NOTES if event.kind == "resolved" else MOST_EVENTS
            if incident.events + len(kept) < most:
                kept.append(event)
        lost = len(events) - len(kept)
        if lost:
            self._counts["events_dropped"] += lost
            incident = replace(incident, events_dropped=incident.events_dropped + lost)
        return self._write(incident, kept)[0]

    def _write(
        self, incident: Incident, events: Sequence[Event]
    ) -> tuple[Incident, Future[int]]:
        kept = [event._replace(text=event.text[:_TEXT]) for event in events]
        incident = replace(incident, events=incident.events + len(kept))
        self._expire()  # first: the next act on an old one goes on from this
        self._live[incident.id] = incident
        written = self._records.save(incident, kept)
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
        """Leave to the disk what ended too long ago to go on."""
        before = self._now_ms() - REOPEN_MS
        for one in list(self._live.values()):
            if not one.open and (one.resolved_ms or one.opened_ms) < before:
                del self._live[one.id]
                kept = self._beyond.items()
                self._beyond = {name: at for name, at in kept if at != one.id}


def _holds(incident: Incident, group: dict[str, str]) -> bool:
    """Return whether an alert of a group is part of an open incident of another."""
    return (
        incident.open
        and bool(group)
        and any(group.items() <= one.labels.items() for one in incident.alerts.values())
    )


def _continues(known: Incident, now_ms: int) -> bool:
    """Return whether a group that fires now is still the same trouble."""
    if known.open:
        return True
    return known.state == "resolved" and now_ms - (known.resolved_ms or 0) < REOPEN_MS
