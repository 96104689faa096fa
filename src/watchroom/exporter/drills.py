"""Drills: fault series served as a target of their own, and the pages they cause.

A drill runs under a nonce. From its start, step ``floor(elapsed / interval)`` of each
fault line is served; past the end of a line its last step stays. From the recovery on:

* a cumulative series (``_total``, ``_bucket``, ``_count``, ``_sum``) serves what the
  fault last served plus the recovery line's step, counted from the recovery: a jump of
  good events is ``10000000+5x100``, and the counter never falls;
* any other series serves the recovery line's step itself: a gauge's new value;
* a fault series without a recovery line stays as it was, and a recovery line without a
  fault series begins at nothing.

``_`` and ``stale`` leave the series out of the exposition; a scraper marks it stale.
The fault line ``down`` (alone) makes the target answer 503 until the recovery.

A drill of an accelerated copy (a rule with a shorter `for`, which only such drills can
fire) runs under the job ``drill-fast-<nonce>``, any other under ``drill-<nonce>``.

All is memory: a restarted exporter runs no drill.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.errors import ConfigError
from watchroom.formats import exposition, series
from watchroom.formats.exposition import Family, Sample
from watchroom.urgency import DRILL_JOB

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RUNNING = 24  # drills at once
REMEMBERED = 64  # drills whose receipts can still be read
RECEIPTS = 200  # per drill
ALERTS = 100  # per receipt
LINES = 500  # per drill
STEPS = 200_000  # of fault or recovery: 6 MB
ALL_STEPS = 2_000_000  # of all drills that run: 64 MB
LONGEST_SECONDS = 4 * 3600.0
FAST = "fast-"

_NONCE = re.compile(r"[a-z0-9]{1,32}")
_CUMULATIVE = ("_total", "_bucket", "_count", "_sum")


class DownError(Exception):
    """The drill's fault is that its target can't be reached."""


class _Plan(NamedTuple):
    alert: str
    fault: Sequence[series.Line]
    recovery: Sequence[series.Line]
    down: bool
    interval: float
    limit: float
    fast: bool

    @property
    def steps(self) -> int:
        return sum(len(line.values) for line in (*self.fault, *self.recovery))


class _Run:
    def __init__(self, plan: _Plan, started: float) -> None:
        self.plan = plan
        self.started = started
        self.recovered: float | None = None
        self.stopped = False
        self.receipts: deque[dict[str, Any]] = deque(maxlen=RECEIPTS)

    def ended(self, now: float) -> bool:
        return self.stopped or now - self.started >= self.plan.limit


class Drills:
    """The drills of this exporter; safe to use from many threads.

    Args:
        clock: Monotonic seconds.
        wall: Seconds since the epoch, for receipts.
    """

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._runs: OrderedDict[str, _Run] = OrderedDict()
        self.dropped_receipts = 0

    def start(self, body: Any) -> None:
        """Start a drill.

        Args:
            body: ``{"nonce", "alert", "fault", "recovery", "interval_seconds",
                "limit_seconds", "accelerated"}``.

        Raises:
            ConfigError: The body is invalid, the nonce is taken, or too many run.
        """
        nonce = _nonce(body)
        plan = _plan(body)
        with self._lock:
            now = self._clock()
            if nonce in self._runs:
                raise ConfigError(f"the nonce {nonce} was already used", field="nonce")
            running = [run.plan for run in self._runs.values() if not run.ended(now)]
            if len(running) >= RUNNING:
                raise ConfigError(
                    f"{len(running)} drills are running; at most {RUNNING} may run"
                )
            if plan.steps + sum(each.steps for each in running) > ALL_STEPS:
                raise ConfigError(
                    f"the running drills may have at most {ALL_STEPS} steps together",
                    field="fault",
                    hint="wait until some have finished",
                )
            self._runs[nonce] = _Run(plan, now)
            ended = [name for name, run in self._runs.items() if run.ended(now)]
            for name in ended[: max(0, len(self._runs) - REMEMBERED)]:
                del self._runs[name]

    def recover(self, body: Any) -> None:
        """Let a running drill recover; a second time changes nothing.

        Raises:
            ConfigError: No such drill runs.
        """
        with self._lock:
            run = self._running(_nonce(body))
            if run.recovered is None:
                run.recovered = self._clock()

    def stop(self, body: Any) -> None:
        """Stop a running drill: its target disappears.

        Raises:
            ConfigError: No such drill runs.
        """
        with self._lock:
            self._running(_nonce(body)).stopped = True

    def targets(self, address: str) -> list[dict[str, Any]]:
        """Return the running drills in the format of Prometheus' http_sd."""
        with self._lock:
            now = self._clock()
            running = [
                (name, run.plan.fast)
                for name, run in self._runs.items()
                if not run.ended(now)
            ]
        return [
            {
                "targets": [address],
                "labels": {
                    "job": f"{DRILL_JOB}{FAST if fast else ''}{nonce}",
                    "__metrics_path__": "/drill/metrics",
                    "__param_nonce": nonce,
                },
            }
            for nonce, fast in running
        ]

    def metrics(self, nonce: str) -> str:
        """Return the exposition of a running drill.

        Raises:
            ConfigError: No such drill runs.
            DownError: Its fault is to be down.
        """
        with self._lock:
            run = self._running(nonce)
            plan, started, recovered = run.plan, run.started, run.recovered
            now = self._clock()
        if plan.down and recovered is None:
            raise DownError
        until = now if recovered is None else recovered
        served = _at(plan.fault, _step(until - started, plan.interval))
        if recovered is not None:
            after = _at(plan.recovery, _step(now - recovered, plan.interval))
            served = _recovering(served, after)
        families: dict[str, list[Sample]] = {}
        for labels, value in served.items():
            if value is None or series.is_stale(value):
                continue
            name = dict(labels)["__name__"]
            rest = tuple(pair for pair in labels if pair[0] != "__name__")
            families.setdefault(name, []).append(Sample(name, rest, value))
        marker = "watchroom_drill_active"
        families[marker] = [Sample(marker, (("alert", plan.alert),), 1.0)]
        return exposition.render(
            Family(name, "untyped", "Served by a drill.", samples)
            for name, samples in sorted(families.items())
        )

    def receive(self, body: Any) -> int:
        """Keep the drill alerts of an Alertmanager webhook; return how many.

        Raises:
            ConfigError: The body is not a webhook of version 4.
        """
        alerts = body.get("alerts") if isinstance(body, dict) else None
        if not isinstance(alerts, list):
            raise ConfigError("no Alertmanager webhook: `alerts` is missing")
        by_nonce: dict[str, list[dict[str, Any]]] = {}
        for alert in alerts:
            labels = alert.get("labels") if isinstance(alert, dict) else None
            job = labels.get("job") if isinstance(labels, dict) else None
            if isinstance(job, str) and job.startswith(DRILL_JOB):
                nonce = job.removeprefix(DRILL_JOB).removeprefix(FAST)
                by_nonce.setdefault(nonce, []).append(alert)
        status = "resolved" if body.get("status") == "resolved" else "firing"
        count = 0
        with self._lock:
            for nonce, run_alerts in by_nonce.items():
                run = self._runs.get(nonce)
                if run is None:
                    continue
                if len(run.receipts) == RECEIPTS:
                    self.dropped_receipts += 1
                run.receipts.append(
                    {
                        "at": self._wall(),
                        "status": status,
                        "alerts": run_alerts[:ALERTS],
                    }
                )
                count += len(run_alerts[:ALERTS])
                self.dropped_receipts += len(run_alerts[ALERTS:])
        return count

    def receipts(self, nonce: str) -> list[dict[str, Any]]:
        """Return what arrived for a drill, running or lately ended, oldest first.

        Raises:
            ConfigError: No such drill is known.
        """
        with self._lock:
            if nonce not in self._runs:
                raise ConfigError(f"unknown drill {nonce[:40]!r}", field="nonce")
            return list(self._runs[nonce].receipts)

    def arrivals(self) -> dict[str, list[dict[str, Any]]]:
        """Return what arrived for each known drill: when, which status, which alerts.

        For who follows many drills at once; the pages themselves are in `receipts`.
        """
        with self._lock:
            return {
                nonce: [
                    {
                        "at": receipt["at"],
                        "status": receipt["status"],
                        "alerts": _names(receipt["alerts"]),
                    }
                    for receipt in run.receipts
                ]
                for nonce, run in self._runs.items()
            }

    def running(self) -> int:
        """Return how many drills run."""
        with self._lock:
            now = self._clock()
            return sum(not run.ended(now) for run in self._runs.values())

    def _running(self, nonce: str) -> _Run:
        run = self._runs.get(nonce)
        if run is None or run.ended(self._clock()):
            raise ConfigError(
                f"the drill {nonce[:40]!r} isn't running",
                field="nonce",
                hint="it ended, exceeded its time limit, or the exporter was restarted",
            )
        return run


def _names(alerts: Sequence[dict[str, Any]]) -> list[str]:
    return sorted({str(alert["labels"].get("alertname", "")) for alert in alerts})


def _nonce(body: Any) -> str:
    nonce = body.get("nonce") if isinstance(body, dict) else None
    if not isinstance(nonce, str) or not _NONCE.fullmatch(nonce):
        raise ConfigError("must be 1 to 32 of a-z and 0-9", field="nonce")
    return nonce


def _plan(body: dict[str, Any]) -> _Plan:
    alert = body.get("alert")
    if not isinstance(alert, str) or not 0 < len(alert) <= 200:
        raise ConfigError("must be an alert's name", field="alert")
    fault = _texts(body, "fault")
    down = fault == ["down"]
    if not fault:
        raise ConfigError("must contain at least one series", field="fault")
    fast = body.get("accelerated", False)
    if not isinstance(fast, bool):
        raise ConfigError("must be true or false", field="accelerated")
    return _Plan(
        alert=alert,
        fault=[] if down else series.parse_all(fault, most_steps=STEPS),
        recovery=series.parse_all(_texts(body, "recovery"), most_steps=STEPS),
        down=down,
        interval=_seconds(body, "interval_seconds", 5.0, 0.1, 3600.0),
        limit=_seconds(body, "limit_seconds", 900.0, 1.0, LONGEST_SECONDS),
        fast=fast,
    )


def _texts(body: dict[str, Any], field: str) -> list[str]:
    lines = body.get(field, [])
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise ConfigError("must be a list of series lines", field=field)
    if len(lines) > LINES:
        raise ConfigError(
            f"has {len(lines)} series; at most {LINES} are allowed", field=field
        )
    return lines


def _seconds(
    body: dict[str, Any], field: str, default: float, least: float, most: float
) -> float:
    value = body.get(field, default)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not least <= value <= most:
        raise ConfigError(
            f"must be a number of seconds from {least:g} to {most:g}", field=field
        )
    return float(value)


def _step(elapsed: float, interval: float) -> int:
    return int(elapsed // interval)


def _at(lines: Sequence[series.Line], step: int) -> dict[series.Labels, float | None]:
    return {line.labels: line.values[min(step, len(line.values) - 1)] for line in lines}


def _recovering(
    fault: dict[series.Labels, float | None],
    recovery: dict[series.Labels, float | None],
) -> dict[series.Labels, float | None]:
    served = dict(fault)
    for labels, value in recovery.items():
        last = fault.get(labels)
        name = dict(labels)["__name__"]
        keep = value is None or last is None or series.is_stale(last)
        if keep or series.is_stale(value) or not name.endswith(_CUMULATIVE):
            served[labels] = value
        else:
            served[labels] = (value or 0.0) + (last or 0.0)
    return served
