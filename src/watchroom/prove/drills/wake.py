"""A real page as a test: a drill wakes one contact, who has to acknowledge."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from watchroom.errors import ConfigError, nearest
from watchroom.formats import contacts as contacts_file
from watchroom.formats.reading import text_of
from watchroom.messages.scrub import origin
from watchroom.prove import client
from watchroom.prove.chain import View
from watchroom.prove.drills.drill import DrillOptions, DrillRun
from watchroom.prove.receivers import reach, send
from watchroom.prove.records import FAILED, PASSED, Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.formats.contacts import Contact
    from watchroom.prove.chain import Chain
    from watchroom.prove.drills.drill import Built, Stage, Verdict

_EVERY = 0.5
_INCIDENTS = "/api/v1/watchroom/incidents"
_PREFERRED = "HighErrorRate"


class WakeResult(NamedTuple):
    """How it went.

    Attributes:
        name: Who was woken.
        verdict: The drill; its stage `told` is when the page was accepted.
        answered: Seconds from the fault to the acknowledgement, or None.
        by: Who acknowledged, or empty.
        reason: Why it failed, and what to do; empty when it did not.
    """

    name: str
    verdict: Verdict
    answered: float | None
    by: str
    reason: str

    @property
    def passed(self) -> bool:
        """Whether the contact who was woken acknowledged."""
        return not self.reason

    @property
    def knew(self) -> float | None:
        """Seconds from the fault until the page was accepted.

        A contact may acknowledge before the receiver's answer arrives: then the page
        had arrived by the acknowledgement.
        """
        sent = self.verdict.seconds("told")
        if sent is None or self.answered is None:
            return sent
        return min(sent, self.answered)

    def result(self) -> Result:
        """Return the result to record."""
        detail = (
            f"acknowledged {self.answered or 0:.0f} s after the fault"
            if self.passed
            else self.reason
        )
        return Result(
            "wake",
            self.name,
            self.verdict.at,
            PASSED if self.passed else FAILED,
            detail,
            seconds=self.knew,
        )


def person(built: Built, name: str) -> Contact:
    """Return a contact who can be paged.

    Raises:
        ConfigError: There is no such contact, or it has no receivers.
    """
    path = built.directory / contacts_file.PATH
    text = text_of(path, "create it: contacts: [{name: Ann, receivers: [ops]}]")
    receivers = [receiver.name for receiver in built.config.receivers]
    known = contacts_file.load(text, str(path), receivers)
    contact = known.named(name)
    if contact is None:
        names = [each.name for each in known.contacts]
        raise ConfigError(
            f"no contact is named {name!r}", file=path, hint=nearest(name, names)
        )
    if not contact.receivers:
        raise ConfigError(
            f"{contact.name} has no receivers",
            file=path,
            hint="add receivers: [NAME] to this contact",
        )
    return contact


def alert_for(built: Built) -> str:
    """Return the P1 alert whose drill pages soonest.

    Raises:
        ConfigError: No P1 alert has a drill.
    """
    urgent = {
        alert.name
        for vital in built.manifest.vitals
        for alert in vital.alerts
        if alert.priority == "P1"
    }
    drills = [drill for drill in built.manifest.drills if drill.alert in urgent]
    if not drills:
        raise ConfigError("none of the P1 alerts has a drill", file="watchroom.json")

    def soonest(drill: Any) -> tuple[float, bool]:
        budget = (drill.accelerated or drill).budget_seconds
        return budget, drill.alert != _PREFERRED

    return str(min(drills, key=soonest).alert)


class WakeRun(DrillRun):
    """A drill that pages one contact instead of sending a quiet message."""

    def __init__(
        self,
        chain: Chain,
        built: Built,
        alert: str,
        who: Contact,
        patience: float,
        on_stage: Callable[[Stage], None],
        on_wait: Callable[[str], None],
    ) -> None:
        how = DrillOptions(patience, accelerated=True)
        super().__init__(chain, View(chain), built, alert, how, on_stage, on_wait)
        self._who = who
        self._monitor = chain.prometheus
        self._incident: dict[str, Any] = {}
        self._opened = 0.0
        self._note: send.DrillNote | None = None

    def wake(self, seconds: float) -> WakeResult:
        """Drill, page, and wait for the acknowledgement; leaves nothing open."""
        try:
            verdict = self.run()
            if verdict.broken:
                reason = f"{verdict.broken}: {verdict.reason}"
                return WakeResult(self._who.name, verdict, None, "", reason)
            return self._answer(verdict, seconds)
        finally:
            self._close()

    def _tell(self) -> None:
        name = self._who.name
        title = f"[DRILL] Wake {name}: acknowledge this test, nothing is wrong"
        self._opened = time.monotonic() - self._fault
        self._incident = self._call("", {"title": title, "priority": "P1", "as": name})
        self._note = send.DrillNote(
            f"Wake {name}",
            title,
            f"Sent by `watchroom drill --wake`. {name}, open the link and acknowledge.",
            self._nonce,
            self._built.manifest.monitor_url,
            "critical",
            self._incident["ack_url"],
        )
        self._record_answers(self._send("firing"))
        self._reached("told", f"{name}, by {', '.join(self._who.receivers)}")

    def _answer(self, verdict: Verdict, seconds: float) -> WakeResult:
        name = self._who.name
        deadline = time.monotonic() + seconds
        self._on_wait(f"acknowledged by {name}: {self._incident['ack_url']}")
        while True:
            acknowledged = self._call(f"/{self._incident['id']}")["acknowledged"]
            if acknowledged is not None:
                break
            if time.monotonic() > deadline:
                reason = f"{name} did not acknowledge within {seconds:.0f} s"
                return WakeResult(name, verdict, None, "", reason)
            time.sleep(_EVERY)
        answered = self._opened + acknowledged["at"] - self._incident["opened"]
        by = str(acknowledged["by"])
        reason = "" if by == name else f"{by} acknowledged, and {name} did not"
        return WakeResult(name, verdict, answered, by, reason)

    def _close(self) -> None:
        """Resolve the page and the incident; never raises."""
        if self._note is not None:
            self._send("resolved")
        if self._incident:
            text = "the test has ended"
            with contextlib.suppress(client.PeerError):
                self._call(
                    f"/{self._incident['id']}/resolve",
                    {"as": self._who.name, "text": text},
                )

    def _send(self, status: str) -> list[reach.ReceiverAnswer]:
        if self._note is None:
            return []
        by_name = self._built.config.receivers_by_name
        notifying = [by_name[name] for name in self._who.receivers]
        return reach.send_drill(
            notifying, self._built.directory, self._note, statuses=[status]
        )

    def _call(self, path: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        url = f"{self._monitor}{_INCIDENTS}{path}"
        answer = client.fetch(
            url,
            headers=client.bearer(self._chain.watch_token),
            data=urlencode(form).encode() if form else None,
        )
        body = answer.json()
        if answer.status != 200 or not isinstance(body, dict):
            error = body.get("error") if isinstance(body, dict) else answer.body[:200]
            raise client.PeerError(
                f"{origin(url)} answered {answer.status}: {error}",
                answer.status,
            )
        data: dict[str, Any] = body["data"]
        return data
