"""A drill of the whole chain: fault series, the rule, its route, a receipt.

The exporter serves the fault as a target of a job of its own; Prometheus or the monitor
scrapes it, evaluates the rule it already has and sends the alert over the drill route
back to the exporter. Then a [DRILL] message goes through each receiver that the real
alert would reach.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.errors import ConfigError, nearest
from watchroom.formats.manifest import alert_of, drills_by_name
from watchroom.prove import client
from watchroom.prove.drills import preflight
from watchroom.prove.drills.preflight import BrokenError
from watchroom.prove.receivers import reach, send
from watchroom.units import format_duration, parse_duration
from watchroom.urgency import DRILL_JOB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from watchroom.formats.alertmanager import Alertmanager
    from watchroom.formats.manifest import Drill, Manifest
    from watchroom.formats.receivers import Receiver
    from watchroom.prove.chain import Chain, View

_EVERY = 0.2
# A server that restarts, or a busy machine, doesn't fail a stage.
_SILENCE_SECONDS = 10.0
STAGES = ("scraped", "pending", "firing", "routed", "delivered", "told", "resolved")


class Stage(NamedTuple):
    """A stage that a drill reached.

    Attributes:
        name: One of `STAGES`.
        seconds: Since the fault went in; since the recovery for resolved.
        detail: What was seen, in a few words.
    """

    name: str
    seconds: float
    detail: str


class DrilledRule(NamedTuple):
    """Which rule was made to fire.

    Attributes:
        rule: Its name on the server.
        hold: Its `for`.
        instead_of: For an accelerated copy, the `for` of the original, or empty.
    """

    rule: str
    hold: str
    instead_of: str


class Verdict(NamedTuple):
    """How a drill ended.

    Attributes:
        alert: The alert's name.
        nonce: Identifies the run.
        stages: The stages that were reached, in order.
        broken: The stage that failed, or empty.
        reason: Why it failed, and what to do; empty if none failed.
        at: When it began, seconds since the epoch.
        ran: Which rule was made to fire.
        receivers: The receivers that the real alert would reach.
        answers: The answers of receivers that this run notified.
    """

    alert: str
    nonce: str
    stages: list[Stage]
    broken: str
    reason: str
    at: float
    ran: DrilledRule
    receivers: list[str]
    answers: list[reach.ReceiverAnswer]

    @property
    def passed(self) -> bool:
        """Whether every stage was reached."""
        return not self.broken

    def seconds(self, stage: str) -> float | None:
        """Return when a stage was reached, or None."""
        return next((s.seconds for s in self.stages if s.name == stage), None)


class Built(NamedTuple):
    """The parts of a build that drills need.

    Attributes:
        directory: Of the built files.
        manifest: watchroom.json.
        config: alertmanager.yml.
    """

    directory: Path
    manifest: Manifest
    config: Alertmanager

    def drill(self, alert: str) -> Drill:
        """Return the drill of an alert.

        Raises:
            ConfigError: The alert has no drill.
        """
        drills = drills_by_name(self.manifest)
        if alert in drills:
            return drills[alert]
        raise ConfigError(
            f"{alert!r} has no drill",
            file=self.directory / "watchroom.json",
            hint=nearest(alert, drills),
        )

    def hold(self, drill: Drill) -> str:
        """Return the `for` of a rule that is drilled."""
        alert = alert_of(self.manifest, drill)
        return alert.for_ if alert else "0s"


class DrillOptions(NamedTuple):
    """How drills are run.

    Attributes:
        patience: Factor on each drill's own budget.
        accelerated: Whether to run the accelerated copy of a rule that has one.
        tell: Whether each drill sends its own [DRILL] message.
    """

    patience: float = 1.0
    accelerated: bool = False
    tell: bool = True


class DrillRun:
    """One run of one drill.

    Raises:
        ConfigError: The alert has no drill in the build.
    """

    def __init__(
        self,
        chain: Chain,
        view: View,
        built: Built,
        alert: str,
        how: DrillOptions,
        on_stage: Callable[[Stage], None],
        on_wait: Callable[[str], None],
        stop: threading.Event | None = None,
    ) -> None:
        self._chain = chain
        self._view = view
        self._built = built
        self._drill = built.drill(alert)
        self._how = how
        self._on_stage = on_stage
        self._on_wait = on_wait
        self._stopped = stop or threading.Event()
        self._stages: list[Stage] = []
        self._nonce = secrets.token_hex(4)
        self._begun = 0.0
        self._fault = 0.0
        self._notifying: list[Receiver] = []
        self._answers: list[reach.ReceiverAnswer] = []
        self._copy = copy = self._drill.accelerated if how.accelerated else None
        hold = built.hold(self._drill)
        self._job = f"{DRILL_JOB}{'fast-' if copy else ''}{self._nonce}"
        self.alert = alert
        self.budget = (copy or self._drill).budget_seconds * how.patience
        self.ran = (
            DrilledRule(copy.alert, copy.for_, hold)
            if copy
            else DrilledRule(self._drill.alert, hold, "")
        )

    def run(self) -> Verdict:
        """Drill it and return the verdict; the fault never outlives the call."""
        at = time.time()
        broken = reason = ""
        self._begun = time.monotonic()
        try:
            self._follow()
        except BrokenError as error:
            broken, reason = error.stage, str(error)
        except client.PeerError as error:
            broken, reason = self._next_stage(), str(error)
        finally:
            self._stop()
        return Verdict(
            self.alert,
            self._nonce,
            self._stages,
            broken,
            reason,
            at,
            self.ran,
            [receiver.name for receiver in self._notifying],
            self._answers,
        )

    def _follow(self) -> None:
        drill, budget = self._drill, self.budget
        interval = parse_duration(self._built.manifest.inputs.interval)
        self._prepare()
        self._post(
            "start",
            {
                "nonce": self._nonce,
                "alert": drill.alert,
                "fault": drill.fault,
                "recovery": drill.recovery,
                "interval_seconds": interval,
                "limit_seconds": 2 * budget + 60,
                "accelerated": self._copy is not None,
            },
        )
        self._begun = self._fault = time.monotonic()
        up = "0" if drill.fault == ["down"] else "1"
        self._until("scraped", lambda: self._scraped(up), 30 + 3 * interval)
        self._until("pending", lambda: self._state({"pending", "firing"}), budget)
        self._until("firing", lambda: self._state({"firing"}), budget)
        self._until("routed", self._routed, 30 + 3 * interval)
        self._until("delivered", lambda: self._receipt("firing"), 60)
        if self._how.tell:
            self._tell()
        self._post("recover", {"nonce": self._nonce})
        self._begun = time.monotonic()
        self._until("resolved", lambda: self._receipt("resolved"), budget + 360)

    def _prepare(self) -> None:
        """Check what can be checked before waiting for the rule's `for`."""
        built = self._built
        preflight.check_rule(self._chain, built.manifest, self._drill, self._copy)
        preflight.check_routing(self._chain, built.config)
        self._notifying = preflight.notifying_receivers(
            built.config, built.manifest, self._drill
        )
        self._record_answers(
            reach.ReceiverAnswer(receiver.name, accepted=False, detail=lacking)
            for receiver in self._notifying
            if (lacking := reach.lacking(receiver, built.directory))
        )

    def _record_answers(self, answers: Iterable[reach.ReceiverAnswer]) -> None:
        """Record the receivers' answers.

        Raises:
            BrokenError: A receiver refused.
        """
        given = list(answers)
        self._answers += given
        for answer in given:
            if not answer.accepted:
                raise BrokenError(
                    "told", f"receiver {answer.receiver}: {answer.detail}"
                )

    def _next_stage(self) -> str:
        done = {stage.name for stage in self._stages}
        return next((name for name in STAGES if name not in done), "resolved")

    def _until(
        self, name: str, probe: Callable[[], str | None], seconds: float
    ) -> None:
        deadline = time.monotonic() + seconds
        answered = time.monotonic()
        self._on_wait(name)
        while True:
            try:
                detail = probe()
                answered = time.monotonic()
            except client.PeerError:
                if time.monotonic() - answered > _SILENCE_SECONDS:
                    raise
                detail = None
            if detail is not None:
                break
            if time.monotonic() > deadline:
                raise BrokenError(name, self._why(name, seconds))
            if self._stopped.wait(_EVERY):
                raise BrokenError(name, "the drill was stopped")
        self._reached(name, detail)

    def _reached(self, name: str, detail: str) -> None:
        stage = Stage(name, time.monotonic() - self._begun, detail)
        self._stages.append(stage)
        self._on_stage(stage)

    def _why(self, name: str, seconds: float) -> str:
        chain, waited = self._chain, format_duration(round(seconds))
        return {
            "scraped": f"nothing was scraped within {waited}: check that "
            f"{chain.prometheus} has the job 'drill' and can reach "
            f"{chain.exporter}/drill/targets",
            "pending": "the rule did not match, although the fault was scraped for "
            f"{waited}",
            "firing": f"still pending after {waited}: check that the loaded `for` is "
            "the built one",
            "routed": f"{chain.alertmanager} did not receive the alert: check "
            "`alerting:` in prometheus.yml",
            "delivered": f"the drill's route delivered nothing within {waited}: check "
            f"that {chain.alertmanager} can reach {chain.exporter}/drill/receipt",
            "resolved": f"no resolved notification within {waited}",
        }[name]

    def _scraped(self, up: str) -> str | None:
        # A target is discovered shortly before its first scrape.
        value = self._view.up(self._job)
        return f'up{{job="{self._job}"}} {up}' if value == up else None

    def _state(self, wanted: set[str]) -> str | None:
        for alert in self._view.alerts(self._job):
            name = alert["labels"]["alertname"]
            same = alert["labels"].get("severity") == self._drill.labels.get("severity")
            if name == self.ran.rule and same and alert["state"] in wanted:
                return f"{name} is {alert['state']}"
        return None

    def _routed(self) -> str | None:
        for alert in self._view.routed(self._job):
            if alert["labels"]["alertname"] != self.ran.rule:
                continue
            names = [receiver["name"] for receiver in alert["receivers"]]
            if names != ["drill"]:
                raise BrokenError(
                    "routed",
                    f"no route for drills: {self._chain.alertmanager} routes the "
                    f"alert to {', '.join(names)}; load the built alertmanager.yml",
                )
            return "to receiver drill"
        return None

    def _receipt(self, status: str) -> str | None:
        for message in self._view.arrivals(self._nonce):
            if message["status"] == status and self.ran.rule in message["alerts"]:
                return f"{status} page received"
        return None

    def _tell(self) -> None:
        alert = self.alert
        note = send.DrillNote(
            alert,
            f"[DRILL] {alert}: this tests the notification path; nothing is wrong",
            f"Sent by `watchroom drill {alert}`, drill {self._nonce}.",
            self._nonce,
            self._built.manifest.monitor_url,
        )
        self._record_answers(
            reach.send_drill(self._notifying, self._built.directory, note)
        )
        self._reached("told", ", ".join(receiver.name for receiver in self._notifying))

    def _post(self, what: str, body: dict[str, Any]) -> None:
        url = f"{self._chain.exporter}/drill/{what}"
        try:
            client.post(url, body, token=self._chain.token)
        except client.PeerError as error:
            hint = ""
            if error.status in {401, 403}:
                hint = "; set WATCHROOM_TOKEN or WATCHROOM_TOKEN_FILE to its token"
            raise BrokenError(self._next_stage(), f"exporter: {error}{hint}") from None

    def _stop(self) -> None:
        # It may be down, or the drill has ended: then nothing is running.
        with suppress(BrokenError):
            self._post("stop", {"nonce": self._nonce})
