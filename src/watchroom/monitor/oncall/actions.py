"""What people do to incidents: each action is checked, signed and recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.errors import WatchroomError
from watchroom.monitor.oncall import timeline
from watchroom.monitor.oncall.incident import Event, RefusedStepError
from watchroom.monitor.routing.silences import Silence, SilenceError
from watchroom.promql.model import Matcher
from watchroom.units import span
from watchroom.urgency import PRIORITIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from concurrent.futures import Future

    from watchroom.formats.contacts import Contacts
    from watchroom.monitor.oncall.incident import Incident
    from watchroom.monitor.oncall.incidents import Incidents
    from watchroom.monitor.oncall.manual import ManualAlerts
    from watchroom.monitor.routing.silences import Silences

    Done = tuple[Incident, Future[int]]

_LONGEST_TEXT = 4000
_LONGEST_NAME = 80
_LONGEST_TITLE = 300
_LONGEST_SILENCE = 31 * 86400


class BadActError(WatchroomError):
    """An action lacks a value, or its author is unknown: HTTP 400."""


class Actions:
    """Acknowledge, mitigate, resolve, review, note, change the priority.

    Every method returns the changed incident and a future that is done when
    that is on disk. They raise KeyError when there is no such incident, `BadActError`
    when a name or a text is missing or unknown, and `RefusedStepError` when the
    action doesn't fit the incident's state.

    Args:
        incidents: The incidents.
        contacts: Who may act; if the list is empty, anyone who gives a name.
        silences: All silences.
        cancel_repeats: Cancels repeats for these alerts: `Notifier.cancel_repeats`.
        manual: The alerts of incidents that people opened.
        now_ms: Now.
    """

    def __init__(
        self,
        incidents: Incidents,
        *,
        contacts: Callable[[], Contacts],
        silences: Silences,
        cancel_repeats: Callable[[Iterable[str]], None],
        manual: ManualAlerts,
        now_ms: Callable[[], int],
    ) -> None:
        self._incidents = incidents
        self._contacts = contacts
        self._now_ms = now_ms
        self._silences = silences
        self._cancel_repeats = cancel_repeats
        self._manual = manual

    def signature(self, name: str) -> str:
        """Return who acts, as contacts.yml spells the name.

        Raises:
            BadActError: The name is missing, or not in contacts.yml.
        """
        name = " ".join(name.split())
        known = self._contacts()
        if not name:
            raise BadActError("your name is missing")
        if not known.contacts:
            if len(name) > _LONGEST_NAME:
                raise BadActError(f"a name can have at most {_LONGEST_NAME} characters")
            return name
        contact = known.named(name)
        if contact is None:
            names = ", ".join(contact.name for contact in known.contacts)
            raise BadActError(f"{name!r} isn't in contacts.yml; it has {names}")
        return contact.name

    def acknowledge(self, number: int, who: str, reason: str) -> Done:
        """Take the incident: repeat pages and escalation stop."""
        event = self._event("acknowledged", who, reason, "a reason")
        done = self._incidents.act(
            number,
            event,
            to="acknowledged",
            acknowledged_by=event.author,
            acknowledged_ms=event.at_ms,
            reason=event.text,
        )
        self._cancel_repeats(done[0].fingerprints)
        return self._after(done)

    def mitigate(self, number: int, who: str, text: str) -> Done:
        """Record that users are no longer affected, though it is not resolved."""
        event = self._event("mitigated", who, text, "a note of what was done")
        at = event.at_ms
        done = self._incidents.act(number, event, to="mitigated", mitigated_ms=at)
        self._cancel_repeats(done[0].fingerprints)
        return self._after(done)

    def resolve(self, number: int, who: str, text: str) -> Done:
        """Resolve it; refused while one of its alerts is firing."""
        event = self._event("resolved", who, text, "a note of why it's resolved")
        at = event.at_ms
        done = self._incidents.act(number, event, to="resolved", resolved_ms=at)
        return self._after(done)

    def review(self, number: int, who: str, text: str) -> Done:
        """Record what was learned, and which runbook was changed."""
        event = self._event("reviewed", who, text, "a note of what was learned")
        at = event.at_ms
        return self._incidents.act(number, event, to="reviewed", reviewed_ms=at)

    def note(self, number: int, who: str, text: str) -> Done:
        """Add a note to the timeline."""
        event = self._event("note", who, text, "the text of the note")
        return self._incidents.act(number, event)

    def silence(self, number: int, who: str, reason: str, seconds: float) -> Done:
        """Silence its group for a limited time; the incident stays open.

        Waits for the disk.
        """
        who, reason = self.signature(who), _text(reason, "a reason")
        if not 60 <= seconds <= _LONGEST_SILENCE:
            raise BadActError("a silence must last between a minute and 31 days")
        incident, at = self._incidents.get(number), self._now_ms()
        if incident is None:
            raise KeyError(number)
        pairs = incident.group or {}
        matchers = tuple(
            Matcher(name, "=", value) for name, value in sorted(pairs.items())
        )
        if not matchers:
            raise BadActError("this incident has no alerts to silence")
        until = at + round(seconds * 1000)
        try:
            self._silences.put(Silence("", matchers, at, until, at, who, reason), at)
        except SilenceError as error:
            raise RefusedStepError(str(error)) from error
        matched = ", ".join(f'{matcher.name}="{matcher.value}"' for matcher in matchers)
        text = f"for {span(seconds)}, {matched}: {reason}"
        return self._incidents.act(number, Event(at, "person", "silenced", text, who))

    def end_silence(self, name: str, who: str) -> None:
        """End a silence; the open incidents that it matched record who did.

        Waits for the disk.

        Raises:
            BadActError: The name is missing, or not in contacts.yml.
            SilenceError: No silence has that id.
        """
        who, at = self.signature(who), self._now_ms()
        before = self._silences.get(name)
        self._silences.expire(name, at)
        if before is not None and before.state(at) != "expired":
            self._incidents.add_matching(
                before.matchers, timeline.unsilenced(before, who, at)
            )

    def prioritise(self, number: int, who: str, priority: str) -> Done:
        """Change its priority; the alerts' own priority no longer counts."""
        who = self.signature(who)
        _check_priority(priority)
        event = Event(self._now_ms(), "person", "priority", f"set to {priority}", who)
        return self._after(
            self._incidents.act(number, event, priority=priority, priority_by=who)
        )

    def open(self, title: str, priority: str, who: str) -> Done:
        """Open an incident by hand; it notifies as an alert of its priority does."""
        who = self.signature(who)
        title = " ".join(title.split())
        if not title or len(title) > _LONGEST_TITLE:
            raise BadActError(f"a title must have 1 to {_LONGEST_TITLE} characters")
        _check_priority(priority)
        return self._after(self._incidents.create(title, priority, who, self._now_ms()))

    def _event(self, kind: str, who: str, text: str, what: str) -> Event:
        """Return the entry of a signed act; `what` names a text that is missing."""
        who = self.signature(who)
        return Event(self._now_ms(), "person", kind, _text(text, what), who)

    def _after(self, done: Done) -> Done:
        """Update the manual incident's alert after an action, outside every lock."""
        self._manual.changed(done[0])
        return done


def _check_priority(priority: str) -> None:
    if priority not in PRIORITIES:
        raise BadActError(f"{priority!r} isn't a priority; use {', '.join(PRIORITIES)}")


def _text(text: str, what: str) -> str:
    stripped = text.strip()
    if not stripped:
        raise BadActError(f"{what} is missing")
    if len(stripped) > _LONGEST_TEXT:
        raise BadActError(f"{what} can have at most {_LONGEST_TEXT} characters")
    return stripped
