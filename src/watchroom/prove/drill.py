"""A drill at chain depth: fault series, the unchanged rule, the real route, a receipt.

The exporter serves the fault as a target of job ``drill-<nonce>``; Prometheus or the
monitor scrapes it, evaluates the rule it already has and sends the alert over the drill
route back to the exporter. Then a [DRILL] message goes through each receiver that the
real alert would reach.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.errors import ConfigError
from watchroom.prove import client, road
from watchroom.prove.before import BrokenError, check_rule, loud_receivers
from watchroom.units import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from watchroom.formats.alertmanager import Alertmanager, Receiver
    from watchroom.formats.manifest import Drill, Manifest

_EVERY = 0.2


class Stage(NamedTuple):
    """One stage of a drill that came true.

    Attributes:
        name: scraped, pending, firing, routed, delivered, told or resolved.
        seconds: Since the fault went in; since the recovery for resolved.
        detail: What was seen, in a few words.
    """

    name: str
    seconds: float
    detail: str


class Verdict(NamedTuple):
    """How a drill ended.

    Attributes:
        alert: The alert's name.
        nonce: Which run it was.
        stages: What came true, in order.
        broken: The stage that did not, or empty.
        reason: Why, and what to do; empty when all did.
        at: When it began, seconds since the epoch.
    """

    alert: str
    nonce: str
    stages: list[Stage]
    broken: str
    reason: str
    at: float

    @property
    def passed(self) -> bool:
        """Whether every stage came true."""
        return not self.broken


class Chain(NamedTuple):
    """The servers that a drill runs against.

    Attributes:
        prometheus: Base URL of Prometheus, or of the monitor.
        alertmanager: Base URL of Alertmanager, or of the monitor.
        exporter: Base URL of the exporter.
        token: The exporter's token.
    """

    prometheus: str
    alertmanager: str
    exporter: str
    token: str


def find_chain(prometheus: str, alertmanager: str, exporter: str, token: str) -> Chain:
    """Return the chain, asking Prometheus for its Alertmanager when none is given.

    Raises:
        ConfigError: Prometheus does not answer.
    """
    prometheus = prometheus.rstrip("/")
    if not alertmanager:
        try:
            client.get(f"{prometheus}/api/v2/status")
            alertmanager = prometheus  # the monitor is its own Alertmanager
        except client.PeerError as error:
            if error.status is None:
                raise ConfigError(
                    str(error),
                    hint="is `watchroom run` running? --prometheus names another URL",
                ) from None
            alertmanager = _active_alertmanager(prometheus)
    return Chain(prometheus, alertmanager.rstrip("/"), exporter.rstrip("/"), token)


class DrillRun:
    """One run of one drill.

    Args:
        chain: The servers.
        manifest: The built watchroom.json.
        config: The built alertmanager.yml.
        directory: Where both stand.
        on_stage: Called with each stage as it comes true.
        patience: Factor on the drill's own budget.
        on_wait: Called with the name of the stage that is waited for.
    """

    def __init__(
        self,
        chain: Chain,
        manifest: Manifest,
        config: Alertmanager,
        directory: Path,
        on_stage: Callable[[Stage], None],
        patience: float = 1.0,
        on_wait: Callable[[str], None] | None = None,
    ) -> None:
        self._chain = chain
        self._manifest = manifest
        self._config = config
        self._directory = directory
        self._on_stage = on_stage
        self._patience = patience
        self._on_wait = on_wait
        self._stages: list[Stage] = []
        self._nonce = secrets.token_hex(4)
        self._job = f"drill-{self._nonce}"
        self._begun = 0.0

    def run(self, alert: str) -> Verdict:
        """Drill `alert` and return the verdict; the fault never outlives the call.

        Raises:
            ConfigError: The build knows no drill for it.
        """
        drill = self._drill(alert)
        at = time.time()
        broken = reason = ""
        self._begun = time.monotonic()
        try:
            self._follow(drill)
        except BrokenError as error:
            broken, reason = error.stage, str(error)
        except client.PeerError as error:
            broken, reason = self._next_stage(), str(error)
        finally:
            self._stop()
        return Verdict(alert, self._nonce, self._stages, broken, reason, at)

    def _drill(self, alert: str) -> Drill:
        for drill in self._manifest.drills:
            if drill.alert == alert:
                return drill
        known = ", ".join(sorted(d.alert for d in self._manifest.drills))
        raise ConfigError(
            f"no drill for {alert!r}", file="watchroom.json", hint=f"there are {known}"
        )

    def _follow(self, drill: Drill) -> None:
        budget = drill.budget_seconds * self._patience
        interval = parse_duration(self._manifest.inputs.interval)
        check_rule(self._chain.prometheus, self._manifest, drill.alert)
        loud = loud_receivers(self._config, self._manifest, drill, self._directory)
        self._post(
            "start",
            {
                "nonce": self._nonce,
                "alert": drill.alert,
                "fault": drill.fault,
                "recovery": drill.recovery,
                "interval_seconds": interval,
                "limit_seconds": 2 * budget + 60,
            },
        )
        self._begun = time.monotonic()
        up = "0" if drill.fault == ["down"] else "1"
        self._until("scraped", lambda: self._scraped(up), 30 + 3 * interval)
        self._until("pending", lambda: self._state({"pending", "firing"}), budget)
        self._until("firing", lambda: self._state({"firing"}), budget)
        self._until("routed", self._routed, 30 + 3 * interval)
        self._until("delivered", lambda: self._receipt("firing"), 60)
        self._tell(drill.alert, loud)
        self._post("recover", {"nonce": self._nonce})
        self._begun = time.monotonic()
        self._until("resolved", lambda: self._receipt("resolved"), budget + 360)

    def _next_stage(self) -> str:
        order = ["scraped", "pending", "firing", "routed", "delivered", "told"]
        done = {stage.name for stage in self._stages}
        return next((name for name in order if name not in done), "resolved")

    def _until(
        self, name: str, probe: Callable[[], str | None], seconds: float
    ) -> None:
        deadline = time.monotonic() + seconds
        if self._on_wait:
            self._on_wait(name)
        while (detail := probe()) is None:
            if time.monotonic() > deadline:
                raise BrokenError(name, self._why(name, seconds))
            time.sleep(_EVERY)
        self._reached(name, detail)

    def _reached(self, name: str, detail: str) -> None:
        stage = Stage(name, time.monotonic() - self._begun, detail)
        self._stages.append(stage)
        self._on_stage(stage)

    def _why(self, name: str, seconds: float) -> str:
        waited = format_duration(round(seconds))
        hints = {
            "scraped": f"nothing scraped in {waited}: does {self._chain.prometheus} "
            "have the job 'drill', and can it reach "
            f"{self._chain.exporter}/drill/targets?",
            "pending": f"the rule saw the fault for {waited} and did not match",
            "firing": f"still pending after {waited}: is `for` longer than built?",
            "routed": f"{self._chain.alertmanager} never got the alert: does "
            "`alerting:` in prometheus.yml point at it?",
            "delivered": f"the drill route delivered nothing in {waited}: can "
            f"{self._chain.alertmanager} reach {self._chain.exporter}/drill/receipt?",
            "resolved": f"no resolved page in {waited}",
        }
        return hints[name]

    def _scraped(self, up: str) -> str | None:
        answer = client.get(
            f"{self._chain.prometheus}/api/v1/query",
            {"query": f'up{{job="{self._job}"}}'},
        )
        result = answer["data"]["result"]
        if not result:
            return None
        # A target is first seen a moment before it is first scraped.
        return None if result[0]["value"][1] != up else f'up{{job="{self._job}"}} {up}'

    def _alerts(self) -> list[dict[str, Any]]:
        data = client.get(f"{self._chain.prometheus}/api/v1/alerts")["data"]
        return [a for a in data["alerts"] if a["labels"].get("job") == self._job]

    def _state(self, wanted: set[str]) -> str | None:
        for alert in self._alerts():
            if alert["state"] in wanted:
                return f"{alert['labels']['alertname']} is {alert['state']}"
        return None

    def _routed(self) -> str | None:
        alerts = client.get(
            f"{self._chain.alertmanager}/api/v2/alerts",
            {"filter": f'job="{self._job}"'},
        )
        for alert in alerts:
            names = [receiver["name"] for receiver in alert["receivers"]]
            if names != ["drill"]:
                raise BrokenError(
                    "routed",
                    f"no route for drills: {self._chain.alertmanager} sends it to "
                    f"{', '.join(names)}; load the built alertmanager.yml",
                )
            return "to receiver drill"
        return None

    def _receipt(self, status: str) -> str | None:
        answer = self._exporter("receipt", {"nonce": self._nonce})
        for message in answer["received"]:
            if message["status"] == status:
                return f"{status} page received"
        return None

    def _tell(self, alert: str, loud: list[Receiver]) -> None:
        """Send a [DRILL] message down the road of the real alert."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        url = self._manifest.monitor_url
        for status in ("firing", "resolved"):
            body = road.message(alert, self._nonce, status, url, now)
            for receiver in loud:
                for answer in road.send(receiver, self._directory, body):
                    if not answer.accepted:
                        raise BrokenError(
                            "told", f"receiver {answer.receiver}: {answer.detail}"
                        )
        self._reached("told", ", ".join(receiver.name for receiver in loud))

    def _exporter(self, what: str, query: dict[str, str] | None = None) -> Any:
        url = f"{self._chain.exporter}/drill/{what}"
        return client.get(url, query, token=self._chain.token)

    def _post(self, what: str, body: dict[str, Any]) -> None:
        url = f"{self._chain.exporter}/drill/{what}"
        try:
            client.post(url, body, token=self._chain.token)
        except client.PeerError as error:
            hint = ""
            if error.status in {401, 403}:
                hint = "; give its token in WATCHROOM_TOKEN or WATCHROOM_TOKEN_FILE"
            raise BrokenError(self._next_stage(), f"exporter: {error}{hint}") from None

    def _stop(self) -> None:
        try:
            client.post(
                f"{self._chain.exporter}/drill/stop",
                {"nonce": self._nonce},
                token=self._chain.token,
            )
        except client.PeerError:
            return  # it is down, or it knows no such drill: nothing is left running


def real_pages(prometheus: str) -> list[str]:
    """Return the names of firing P1 alerts that are no drills."""
    data = client.get(f"{prometheus}/api/v1/alerts")["data"]
    return sorted(
        {
            alert["labels"]["alertname"]
            for alert in data["alerts"]
            if alert["state"] == "firing"
            and alert["labels"].get("priority") == "P1"
            and not alert["labels"].get("job", "").startswith("drill-")
        }
    )


def _active_alertmanager(prometheus: str) -> str:
    # A Prometheus that has just started knows its Alertmanagers 5 s later (measured).
    deadline = time.monotonic() + 8
    while True:
        data = client.get(f"{prometheus}/api/v1/alertmanagers")["data"]
        for found in data["activeAlertmanagers"]:
            return str(found["url"]).removesuffix("/api/v2/alerts")
        if time.monotonic() > deadline:
            break
        time.sleep(_EVERY)
    raise ConfigError(
        f"{prometheus} knows no Alertmanager",
        hint="give --alertmanager URL, and `alerting:` in prometheus.yml",
    )
