"""The servers that drills and checks run against, and their current state."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.errors import ConfigError
from watchroom.prove import client
from watchroom.urgency import DRILLS, pages

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY = 0.2


class Chain(NamedTuple):
    """The servers that a drill runs against.

    Attributes:
        prometheus: Base URL of Prometheus, or of the monitor.
        alertmanager: Base URL of Alertmanager, or of the monitor.
        exporter: Base URL of the exporter.
        token: The exporter's token.
        embedded: Whether `prometheus` is the monitor.
        watch_token: The monitor's token, or one that a proxy before Prometheus asks
            for; may be empty.
    """

    prometheus: str
    alertmanager: str
    exporter: str
    token: str
    embedded: bool = False
    watch_token: str = ""

    def routing_text(self) -> str:
        """Return the alertmanager.yml that alerts are routed by now.

        Raises:
            PeerError: Alertmanager can't be reached.
        """
        url = f"{self.alertmanager}/api/v2/status"
        status = client.get(url, token=self.watch_token if self.embedded else "")
        return str(status["config"]["original"])


def find_chain(
    prometheus: str, alertmanager: str, exporter: str, token: str, watch_token: str
) -> Chain:
    """Return the chain, asking Prometheus for its Alertmanager when none is given.

    Raises:
        ConfigError: Prometheus can't be reached, or refuses the token.
    """
    prometheus = prometheus.rstrip("/")
    embedded = _is_monitor(prometheus, watch_token)
    if not alertmanager:
        # The monitor is its own Alertmanager.
        alertmanager = (
            prometheus
            if embedded
            else _active_alertmanager(f"{prometheus}/api/v1", watch_token)
        )
    return Chain(
        *(prometheus, alertmanager.rstrip("/"), exporter.rstrip("/")),
        *(token, embedded, watch_token),
    )


def _is_monitor(prometheus: str, token: str) -> bool:
    try:
        client.get(f"{prometheus}/api/v2/status", token=token)
    except client.PeerError as error:
        if error.status in {401, 403}:
            raise ConfigError(
                f"{prometheus} refused the token"
                if token
                else f"{prometheus} needs a token",
                hint="set WATCHROOM_TOKEN or WATCHROOM_TOKEN_FILE to the monitor's "
                "token",
            ) from None
        if error.status is None:
            raise ConfigError(
                str(error),
                hint="is `watchroom run` running? Use --url for another address",
            ) from None
        return False
    return True


class View:
    """The servers' current state of all drills.

    Parallel runs share one: each request is made at most five times a second, however
    many runs need the answer.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._targets = _Shared(self._ask_targets)
        self._alerts = _Shared(self._ask_alerts)
        self._routed = _Shared(self._ask_routed)
        self._arrivals = _Shared(self._ask_arrivals)

    def up(self, job: str) -> str | None:
        """Return the `up` of a drill's target, or None before its first scrape."""
        for sample in self._targets.get():
            if sample["metric"].get("job") == job:
                return str(sample["value"][1])
        return None

    def alerts(self, job: str) -> list[dict[str, Any]]:
        """Return a drill's pending and firing alerts."""
        return [a for a in self._alerts.get() if a["labels"].get("job") == job]

    def routed(self, job: str) -> list[dict[str, Any]]:
        """Return a drill's alerts as Alertmanager has them."""
        return [a for a in self._routed.get() if a["labels"].get("job") == job]

    def arrivals(self, nonce: str) -> list[dict[str, Any]]:
        """Return which of a drill's messages came back to the exporter."""
        arrivals: list[dict[str, Any]] = self._arrivals.get().get(nonce, [])
        return arrivals

    def _ask_targets(self) -> Any:
        url = f"{self._chain.prometheus}/api/v1/query"
        return self._watch(url, {"query": f"up{{{DRILLS}}}"})["data"]["result"]

    def _ask_alerts(self) -> Any:
        return self._watch(f"{self._chain.prometheus}/api/v1/alerts")["data"]["alerts"]

    def _ask_routed(self) -> Any:
        url = f"{self._chain.alertmanager}/api/v2/alerts"
        if not self._chain.embedded:
            return client.get(url, {"filter": DRILLS})
        return self._watch(url, {"filter": DRILLS})

    def _watch(self, url: str, query: dict[str, str] | None = None) -> Any:
        return client.get(url, query, token=self._chain.watch_token)

    def _ask_arrivals(self) -> Any:
        url = f"{self._chain.exporter}/drill/receipt"
        return client.get(url, token=self._chain.token)["received"]


class _Shared:
    """An answer that is shared for a moment."""

    def __init__(self, ask: Callable[[], Any]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answer: Any = None
        self._until = 0.0

    def get(self) -> Any:
        with self._lock:
            if time.monotonic() >= self._until:
                self._answer = self._ask()
                self._until = time.monotonic() + _EVERY
            return self._answer


def real_pages(chain: Chain) -> list[str]:
    """Return the names of firing P1 alerts that aren't drills."""
    url = f"{chain.prometheus}/api/v1/alerts"
    data = client.get(url, token=chain.watch_token)["data"]
    return sorted(
        {
            alert["labels"]["alertname"]
            for alert in data["alerts"]
            if alert["state"] == "firing" and pages(alert["labels"])
        }
    )


def _active_alertmanager(api: str, token: str) -> str:
    # A Prometheus that has just started knows its Alertmanagers 5 s later (measured).
    deadline = time.monotonic() + 8
    while True:
        data = client.get(f"{api}/alertmanagers", token=token)["data"]
        for alertmanager in data["activeAlertmanagers"]:
            return str(alertmanager["url"]).removesuffix("/api/v2/alerts")
        if time.monotonic() > deadline:
            break
        time.sleep(_EVERY)
    raise ConfigError(
        f"{api.removesuffix('/api/v1')} has no Alertmanager",
        hint="give --alertmanager URL, and add `alerting:` to prometheus.yml",
    )
