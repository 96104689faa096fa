"""What the demo tells: stages that come true in order, with their measured times."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import math
import time
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.demo.processes import DemoError
from watchroom.formats import exposition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from watchroom.demo.pager import Page, Pager

ALERT = "HighErrorRate"
_EVERY = 0.25


class Numbers(NamedTuple):
    """The live summary, as the monitor answers it; NaN where it has no answer.

    Attributes:
        rate: Requests per second.
        errors: Share of requests that failed, 0…1.
        p95: 95th percentile of latency, seconds.
        state: The alert's state: ``ok``, ``pending`` or ``firing``; ``unknown`` when
            the monitor does not answer.
    """

    rate: float
    errors: float
    p95: float
    state: str


class Times(NamedTuple):
    """One told story, seconds since the fault went in, and since it came out.

    Attributes:
        pending: Fault to pending.
        firing: Fault to firing.
        delivered: Fault to the page's arrival.
        resolved: End of the fault to the arrival of "resolved".
    """

    pending: float
    firing: float
    delivered: float
    resolved: float


class Site:
    """The running demo, seen over HTTP alone.

    Args:
        app: Base URL of the sample app.
        monitor: Base URL of the monitor.
        window: The rate window the files were built with, as ``"15s"``.
    """

    def __init__(self, app: str, monitor: str, window: str) -> None:
        self.app = app
        self.monitor = monitor
        self._window = window

    def answers(self) -> bool:
        """Tell whether the app's first page is served."""
        try:
            with urllib.request.urlopen(self.app, timeout=2) as answer:  # noqa: S310 - loopback
                return bool(answer.status == 200)
        except (OSError, http.client.HTTPException):
            return False

    def watches(self) -> bool:
        """Tell whether the monitor answers."""
        return bool(_read(f"{self.monitor}-/ready"))

    def fault(self, name: str, value: object) -> None:
        """Flip one of the app's fault switches; None is off.

        Raises:
            DemoError: The app does not take it.
        """
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.app}faults/",
            data=json.dumps({name: value}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
                answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise DemoError(
                "fault", f"the app did not take the switch of {name}: {error}"
            ) from error

    def state(self) -> str:
        """Return the state of the alert: ok, pending or firing, or unknown."""
        alerts = self._get("alerts", {}).get("alerts")
        if alerts is None:
            return "unknown"
        states = {a["state"] for a in alerts if a["labels"]["alertname"] == ALERT}
        return next((s for s in ("firing", "pending") if s in states), "ok")

    def numbers(self) -> Numbers:
        """Ask the monitor for the live summary."""
        window = self._window
        return Numbers(
            self._value(f"sum(rate(http_requests_total[{window}]))"),
            self._value(f"max(job:http_request_errors:ratio_rate{window})"),
            self._value(
                "histogram_quantile(0.95, sum by (le) "
                f"(rate(http_request_duration_seconds_bucket[{window}])))"
            ),
            self.state(),
        )

    def sent(self) -> dict[str, float]:
        """Return how many messages each receiver has taken from the monitor."""
        text = _read(f"{self.monitor}metrics")
        return {
            dict(sample.labels)["receiver"]: sample.value
            for sample in exposition.parse(text)
            if sample.name == "watchroom_notifications_total"
            and ("outcome", "sent") in sample.labels
        }

    def _value(self, expr: str) -> float:
        result = self._get("query", {"query": expr}).get("result", [])
        return float(result[0]["value"][1]) if result else math.nan

    def _get(self, call: str, query: dict[str, str]) -> dict[str, Any]:
        url = f"{self.monitor}api/v1/{call}?{urllib.parse.urlencode(query)}"
        try:
            data: dict[str, Any] = json.loads(_read(url))["data"]
        except (ValueError, KeyError):
            return {}
        return data


def _read(url: str) -> str:
    """Return what `url` answers, or nothing."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - loopback
            return str(answer.read().decode())
    except (OSError, http.client.HTTPException):
        return ""


def works(exporter: str, site: str) -> bool:
    """Tell whether an exporter sees every part of the demo at work.

    Args:
        exporter: Its base URL.
        site: The address that the public knows.
    """
    roles: set[str] = set()
    checks: list[float] = []
    for sample in exposition.parse(_read(f"{exporter}metrics")):
        if sample.name == "watchroom_processes" and sample.value:
            roles.add(dict(sample.labels)["role"])
        elif sample.name == "health_check_status":
            checks.append(sample.value)
    if not roles >= {"web", "worker"} or not checks or not all(checks):
        return False
    target = urllib.parse.quote(site, safe="")
    return "\nprobe_success 1\n" in _read(f"{exporter}probe?target={target}")


class Story:
    """Tells the demo's story once, and again when asked.

    Args:
        site: The running demo.
        pager: Where the page must arrive.
        say: Called with each thing that came true.
        tick: Called while waiting, a few times a second; it may raise to end it.
        others: Where else the page must arrive: receiver → what to call it.
    """

    def __init__(
        self,
        site: Site,
        pager: Pager,
        say: Callable[[str, str], None],
        tick: Callable[[], None],
        others: Mapping[str, str] | None = None,
    ) -> None:
        self._site = site
        self._pager = pager
        self._say = say
        self._tick = tick
        self._others = others or {}

    def wait(
        self, stage: str, true: Callable[[], object], seconds: float, failing: str
    ) -> float:
        """Wait until `true` answers something true; return the seconds it took.

        Raises:
            DemoError: It did not within `seconds`; it names the stage.
        """
        start = time.monotonic()
        while not true():
            if time.monotonic() - start > seconds:
                raise DemoError(stage, f"after {seconds:.0f} s {failing}")
            self._tick()
            time.sleep(_EVERY)
        return time.monotonic() - start

    def normal(self, seconds: float) -> None:
        """Wait for moving numbers, then watch `seconds` of normal traffic."""
        self.wait(
            "scraped",
            lambda: self._site.numbers().rate > 0,
            45,
            "the monitor has no request rate; see exporter.log and monitor.log",
        )
        self._say("scraped", "the monitor sees the traffic")
        end = time.monotonic() + seconds
        self.wait("normal", lambda: time.monotonic() > end, seconds + 5, "")
        if (state := self._site.state()) == "unknown":
            raise DemoError("normal", "the monitor does not answer; see monitor.log")
        if state != "ok":
            raise DemoError("normal", f"{ALERT} is {state} before any fault")

    def tell(self, share: str) -> Times:
        """Inject the fault, follow it to the page, remove it, wait for resolved.

        Args:
            share: The share of requests that shall fail, as ``"30%"``.

        Raises:
            DemoError: A stage did not come true; the fault is removed all the same.
        """
        before = self._site.sent() if self._others else {}
        begun = time.time()
        self._site.fault("errors", share)
        try:
            self._say("fault", f"{share} of requests fail from now on")
            pending = self._follow("pending", begun)
            firing = self._follow("firing", begun)
            delivered = self._arrival("firing", begun, "delivered")
            self._delivered_elsewhere(before)
        except DemoError:
            with contextlib.suppress(DemoError):
                self._site.fault("errors", None)
            raise
        ended = time.time()
        self._site.fault("errors", None)
        self._say("repaired", "the fault is removed; its window has to pass")
        self._calm(ended)
        resolved = self._arrival("resolved", ended, "resolved")
        # Asked four times a second, the state may be seen after the page it caused.
        return Times(pending, min(firing, delivered), delivered, resolved)

    def _follow(self, state: str, since: float) -> float:
        reached = {"pending", "firing"} if state == "pending" else {"firing"}

        def seen() -> bool:
            paged = self._pager.first(ALERT, "firing", since) is not None
            return paged or self._site.state() in reached

        failing = f"{ALERT} is not {state}; see {self._site.monitor}"
        self.wait(state, seen, 60, failing)
        took = time.time() - since
        self._say(state, f"{ALERT} is {state}, {took:.1f} s after the fault")
        return took

    def _calm(self, since: float) -> None:
        def over() -> bool:
            told = self._pager.first(ALERT, "resolved", since) is not None
            return told or self._site.state() == "ok"

        failing = f"{ALERT} has not ended; see {self._site.monitor}"
        self.wait("recovered", over, 90, failing)
        if self._pager.first(ALERT, "resolved", since) is None:
            self._say(
                "recovered",
                f"{ALERT} is ok again, {time.time() - since:.1f} s after the repair; "
                "waiting for the group's next message, every 30 s (group_interval)",
            )

    def _arrival(self, status: str, since: float, stage: str) -> float:
        def page() -> Page | None:
            return self._pager.first(ALERT, status, since)

        self.wait(stage, page, 90, f"no {status} page arrived; see monitor.log")
        self._tick()  # the page is shown before what follows from it
        found = page()
        return (found.at if found else time.time()) - since

    def _delivered_elsewhere(self, before: Mapping[str, float]) -> None:
        for receiver, name in self._others.items():
            self.wait(
                "webhook",
                functools.partial(self._took, receiver, before.get(receiver, 0)),
                20,
                f"{name} has not taken the page: it must answer a POST with 2xx",
            )
            self._say("webhook", f"{name} took the page")

    def _took(self, receiver: str, before: float) -> bool:
        return self._site.sent().get(receiver, 0) > before
