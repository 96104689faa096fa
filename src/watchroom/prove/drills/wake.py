"""A page in earnest: one person on call is woken by a drill, and has to answer."""

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
from watchroom.prove.drills.drill import DrillRun, How
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


class Woken(NamedTuple):
    """How it went.

    Attributes:
        name: Who was woken.
        verdict: The drill that did it; `told` is when the phone knew.
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
        """Whether the one who was woken acknowledged."""
        return not self.reason

    @property
    def knew(self) -> float | None:
        """Seconds from the fault until the page was taken.

        A phone may ring, and be answered, before its service has said that it took the
        page: who answers knew by then.
        """
        told = self.verdict.seconds("told")
        if told is None or self.answered is None:
            return told
        return min(told, self.answered)

    def result(self) -> Result:
        """Return it to be kept."""
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
    """Return a contact who can be told.

    Raises:
        ConfigError: There is no such contact, or nothing to tell them by.
    """
    path = built.directory / contacts_file.PATH
    text = text_of(path, "create it: contacts: [{name: Ann, receivers: [ops]}]")
    receivers = [one.name for one in built.config.receivers]
    known = contacts_file.load(text, str(path), receivers)
    found = known.named(name)
    if found is None:
        names = [one.name for one in known.contacts]
        raise ConfigError(
            f"no contact is named {name!r}", file=path, hint=nearest(name, names)
        )
    if not found.receivers:
        raise ConfigError(
            f"{found.name} has no receivers",
            file=path,
            hint="add receivers: [NAME] to this contact",
        )
    return found


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
    drills = [one for one in built.manifest.drills if one.alert in urgent]
    if not drills:
        raise ConfigError("none of the P1 alerts has a drill", file="watchroom.json")

    def soonest(drill: Any) -> tuple[float, bool]:
        budget = (drill.accelerated or drill).budget_seconds
        return budget, drill.alert != _PREFERRED

    return str(min(drills, key=soonest).alert)


class WakeRun(DrillRun):
    """A drill whose page wakes somebody instead of telling receivers calmly.

    Args:
        chain: The servers; the monitor among them keeps the incident.
        built: What was built.
        alert: Which alert is drilled.
        who: Whom it wakes.
        patience: Factor on the drill's budget.
        on_stage: Called with each stage as it comes true.
        on_wait: Called with what is waited for.
    """

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
        how = How(patience, accelerated=True)
        super().__init__(chain, View(chain), built, alert, how, on_stage, on_wait)
        self._who = who
        self._monitor = chain.prometheus
        self._incident: dict[str, Any] = {}
        self._opened = 0.0
        self._note: send.DrillNote | None = None

    def wake(self, seconds: float) -> Woken:
        """Drill, page, and wait for the acknowledgement; leaves nothing open."""
        try:
            verdict = self.run()
            if verdict.broken:
                reason = f"{verdict.broken}: {verdict.reason}"
                return Woken(self._who.name, verdict, None, "", reason)
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
        self._hear(self._send("firing"))
        self._reached("told", f"{name}, by {', '.join(self._who.receivers)}")

    def _answer(self, verdict: Verdict, seconds: float) -> Woken:
        name = self._who.name
        deadline = time.monotonic() + seconds
        self._on_wait(f"acknowledged by {name}: {self._incident['ack_url']}")
        while True:
            said = self._call(f"/{self._incident['id']}")["acknowledged"]
            if said is not None:
                break
            if time.monotonic() > deadline:
                reason = f"{name} did not acknowledge within {seconds:.0f} s"
                return Woken(name, verdict, None, "", reason)
            time.sleep(_EVERY)
        answered = self._opened + said["at"] - self._incident["opened"]
        by = str(said["by"])
        reason = "" if by == name else f"{by} acknowledged, and {name} did not"
        return Woken(name, verdict, answered, by, reason)

    def _close(self) -> None:
        """Say that it is over, to the receivers and in the book; never raises."""
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
        by_name = {one.name: one for one in self._built.config.receivers}
        loud = [by_name[name] for name in self._who.receivers]
        return reach.tell(loud, self._built.directory, self._note, statuses=[status])

    def _call(self, path: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        url = f"{self._monitor}{_INCIDENTS}{path}"
        answer = client.fetch(
            url,
            headers=client.bearer(self._chain.watch_token),
            data=urlencode(form).encode() if form else None,
        )
        body = answer.json()
        if answer.status != 200 or not isinstance(body, dict):
            said = body.get("error") if isinstance(body, dict) else answer.body[:200]
            raise client.PeerError(
                f"{origin(url)} answered {answer.status}: {said}",
                answer.status,
            )
        data: dict[str, Any] = body["data"]
        return data
