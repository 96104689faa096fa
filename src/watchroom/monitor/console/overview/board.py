"""The overview's data at one time, made once for all who look at it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from watchroom.monitor.console.overview import people
from watchroom.monitor.console.overview.changes import Change, changes
from watchroom.monitor.console.overview.disk import Disk
from watchroom.monitor.console.overview.panels import VitalPanel, panels_of
from watchroom.monitor.console.overview.readings import (
    HISTORY_SECONDS,
    PanelReading,
    Processes,
    Transition,
    Trends,
    read_history,
    read_panels,
    read_processes,
    read_trends,
)
from watchroom.monitor.console.overview.spark import HEIGHT, WIDTH
from watchroom.monitor.console.overview.tiles import Tile, tile
from watchroom.monitor.console.overview.verdict import Verdict, verdict
from watchroom.monitor.console.silenced import SilenceLine as Silenced
from watchroom.monitor.console.silenced import active, by_alert, lines
from watchroom.monitor.notify import metrics
from watchroom.urgency import opens_incident

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.monitor.console.checklist import DrillRun
    from watchroom.monitor.console.overview.disk import OnDisk
    from watchroom.monitor.dispatch.notification import DeliveryKey
    from watchroom.monitor.notify.ledger import LedgerEntry
    from watchroom.monitor.rules.views import AlertView
    from watchroom.monitor.services import Services
    from watchroom.promql.engine import Engine
    from watchroom.promql.model import Queryable

_QUERY_SECONDS = 10.0
_LAST = {300: "last 5 min", 900: "last 15 min", 3600: "last hour"}
_MOST_WARNINGS = 3
_MOST_MARKS = 20


class TargetLine(NamedTuple):
    """One target of the list."""

    job: str
    instance: str
    health: str
    age: float | None
    seconds: float
    error: str


class Trust(NamedTuple):
    """Whether this page can be trusted.

    Attributes:
        evaluated_ago: Seconds since rules were last evaluated, those of a late group if
            there is one; None before the first.
        watching: Whether every group is evaluated on time.
        processes: The app's processes by role.
        up, targets: Targets that are up, of how many.
        reloaded_at: When the files were last read, or refused.
        problem: Why the last reload was refused, or "".
        waiting: Open deliveries.
        refused: Delivery keys whose last delivery failed.
        warnings: Problems of the stores.
        drilled: When every rule was last drilled, and how many arrived.
        heartbeat: Whether an external heartbeat is set up.
        heard_ago: Seconds since the heartbeat was last accepted; None for never.
    """

    evaluated_ago: float | None
    watching: bool
    processes: Sequence[Processes]
    up: int
    targets: int
    reloaded_at: float
    problem: str
    waiting: int
    refused: int
    warnings: Sequence[str]
    drilled: DrillRun | None
    heartbeat: bool
    heard_ago: float | None


class Board(NamedTuple):
    """Everything on the page."""

    at_ms: int
    verdict: Verdict
    trust: Trust
    tiles: Sequence[Tile]
    trend: str
    deploys: str
    targets: Sequence[TargetLine]
    changes: Sequence[Change]
    silences: Sequence[Silenced]


class _Read(NamedTuple):
    readings: Mapping[int, PanelReading]
    trends: Trends
    processes: Sequence[Processes]
    history: Sequence[Transition]


class Boards:
    """Makes boards: one at a time, none older than half an interval."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._disk = Disk(services)
        self._lock = asyncio.Lock()
        self._board: Board | None = None
        self._made = 0.0
        self._trends = Trends()
        self._trends_at = 0.0
        self._trends_of = ""

    async def current(self) -> Board:
        """Return the current board.

        Raises:
            QueryError: Its data could not be read in ten seconds.
        """
        async with self._lock:
            services = self._services
            fresh = min(1.0, services.config.evaluation_seconds / 2)
            now = services.now()
            if self._board is None or not 0 <= now - self._made < fresh:
                self._board = await self._make(now)
                self._made = now
            return self._board

    async def _make(self, now: float) -> Board:
        services = self._services
        panels = panels_of(services.config.dashboard)
        at_ms = round(now * 1000)
        gap_ms = round(services.config.evaluation_seconds * 3000) + 1000
        digest = services.config.digest
        stale_trends = (
            now - self._trends_at > self._trends.seconds / 240
            or self._trends_of != digest
        )
        trends = self._trends

        def work(engine: Engine, queryable: Queryable) -> _Read:
            return _Read(
                read_panels(engine, queryable, panels, at_ms),
                read_trends(engine, queryable, panels, at_ms)
                if stale_trends
                else trends,
                read_processes(engine, queryable, at_ms),
                read_history(queryable, at_ms, gap_ms),
            )

        # A disk that hangs must not hold the threads of all queries.
        read, stored = await asyncio.gather(
            services.queries.run(work, _QUERY_SECONDS), self._disk.read()
        )
        if stale_trends:
            self._trends, self._trends_at, self._trends_of = read.trends, now, digest
        return _compose(services, panels, read, stored, now)


def _compose(
    services: Services,
    panels: Sequence[VitalPanel],
    read: _Read,
    stored: OnDisk,
    now: float,
) -> Board:
    at_ms = round(now * 1000)
    alerts = services.rules.loaded.alerts()
    joined = _by_panel(alerts)
    fired = _fired(alerts, read.history)
    stale_ms = round(max(3.0, 3 * services.config.longest_interval) * 1000)
    tiles = [
        tile(
            panel,
            read.readings.get(panel.id, PanelReading()),
            joined.get(panel.id, []),
            _with_now(read, panel.id),
            now_ms=at_ms,
            stale_ms=stale_ms,
            fired=fired,
        )
        for panel in panels
    ]
    tiles = [
        drawn if drawn.runbook in stored.runbooks else drawn._replace(runbook="")
        for drawn in tiles
    ]
    trust = _trust(services, read.processes, stored, now)
    views = services.dispatcher.alerts(at_ms)
    return Board(
        at_ms=at_ms,
        verdict=verdict(
            alerts,
            tiles,
            stored.entries,
            now_ms=at_ms,
            calm_since_ms=_calm_since(services, read.history, now),
            waits=_waits(services),
            fired=fired,
            runbooks=stored.runbooks,
            known=services.dispatcher.known(),
            incidents=services.oncall.incidents.open(),
            silenced=by_alert(views, services.silences),
            people=services.oncall.contacts.behind(),
            watching=trust.watching,
        ),
        trust=trust,
        tiles=tiles,
        trend=_LAST.get(read.trends.seconds, ""),
        deploys=_deploy_marks(services, at_ms, read.trends.seconds),
        targets=_targets(services, now),
        changes=_changes(services, read.history, stored, at_ms),
        silences=lines(active(services.silences, at_ms), views, at_ms),
    )


def _changes(
    services: Services, history: Sequence[Transition], stored: OnDisk, at_ms: int
) -> list[Change]:
    since_ms = at_ms - HISTORY_SECONDS * 1000
    deploys = services.oncall.deploys.between(since_ms, at_ms)
    acts = people.done(deploys, stored.acts, history)
    marks = _marks(services)
    return changes(history, stored.entries, marks, acts, since_ms=since_ms)


def _with_now(read: _Read, number: int) -> list[float | None]:
    """Return a tile's last hour, ending in the value shown above it."""
    trend = list(read.trends.values.get(number, []))
    value = read.readings.get(number, PanelReading()).value
    if trend and value is not None:
        trend[-1] = value
    return trend


def _deploy_marks(services: Services, at_ms: int, seconds: int) -> str:
    """Return the path of a line in every tile's trend for each deployment in it."""
    start = at_ms - seconds * 1000
    places = [
        (deploy.at_ms - start) / (seconds * 1000) * WIDTH
        for deploy in services.oncall.deploys.between(start, at_ms)
    ]
    return "".join(f"M{x:.1f} 0V{HEIGHT}" for x in places[:_MOST_MARKS])


def _calm_since(services: Services, history: Sequence[Transition], now: float) -> int:
    """Return when anything last fired, or the monitor or its history began (ms)."""
    ended = [
        change.at_ms + change.lasted_ms
        for change in history
        if change.state == "firing" and opens_incident(change.pairs)
    ]
    began = max(services.started, now - HISTORY_SECONDS)
    return max([round(began * 1000), *ended])


def _by_panel(alerts: Sequence[AlertView]) -> dict[int, list[AlertView]]:
    """Return alerts by the panel that Grafana's annotations name."""
    joined: dict[int, list[AlertView]] = {}
    for alert in alerts:
        panel = dict(alert.annotations).get("__panelId__", "")
        if panel.isdigit() and opens_incident(dict(alert.labels)):
            joined.setdefault(int(panel), []).append(alert)
    return joined


def _fired(
    alerts: Sequence[AlertView], history: Sequence[Transition]
) -> dict[str, int]:
    """Return when each firing alert began to fire, by its name."""
    fired: dict[str, int] = {}
    for alert in alerts:
        name = dict(alert.labels).get("alertname", "")
        starts = [
            change.at_ms
            for change in history
            if change.state == "firing"
            and change.alert == name
            and change.at_ms >= alert.active_at_ms
        ]
        if alert.state == "firing" and starts:
            fired[name] = min([*starts, fired.get(name, starts[0])])
    return fired


def _waits(services: Services) -> dict[str, float]:
    return {
        rule.name: rule.duration
        for group in services.rules.loaded.views()
        for rule in group.rules
        if rule.type == "alerting"
    }


def _trust(
    services: Services, processes: Sequence[Processes], stored: OnDisk, now: float
) -> Trust:
    ages = services.rules.loaded.ages()
    late = [
        age.seconds
        for age in ages
        if age.seconds > max(3.0, 3 * age.interval_seconds) + 2.0
    ]
    evaluated = services.rules.stats()["evaluations"]
    scrapers = services.scrapers.all()
    beats = metrics.heartbeats(services)
    return Trust(
        evaluated_ago=max(late or [min(age.seconds for age in ages)])
        if ages and evaluated
        else None,
        watching=bool(ages) and not late,
        processes=processes,
        up=sum(scraper.health == "up" for scraper in scrapers),
        targets=len(scrapers),
        reloaded_at=services.reloads.at
        if services.reloads.problem
        else services.reloads.good_at,
        problem=services.reloads.problem,
        waiting=sum(entry.state == "open" for entry in stored.entries),
        refused=_refused(stored.entries),
        warnings=[
            *services.warnings()[-_MOST_WARNINGS:],
            *([stored.problem] if stored.problem else []),
        ],
        drilled=stored.drilled,
        heartbeat=metrics.has_heartbeat(services),
        heard_ago=max(0.0, now - max(beats.values()) / 1000) if beats else None,
    )


def _refused(entries: Sequence[LedgerEntry]) -> int:
    last: dict[DeliveryKey, str] = {}
    for entry in entries:  # newest first
        last.setdefault(entry.key, entry.state)
    return sum(state == "failed" for state in last.values())


def _targets(services: Services, now: float) -> list[TargetLine]:
    lines = []
    for scraper in services.scrapers.all():
        labels = dict(scraper.target.labels)
        lines.append(
            TargetLine(
                job=labels.get("job", scraper.target.pool),
                instance=labels.get("instance", ""),
                health=scraper.health,
                age=max(0.0, now - scraper.last_scrape)
                if scraper.last_scrape
                else None,
                seconds=scraper.last_seconds,
                error=scraper.last_error,
            )
        )
    return sorted(lines, key=lambda line: (line.health != "down", line.job))


def _marks(services: Services) -> list[tuple[float, str, str]]:
    marks = [(services.started, "monitor", "started")]
    reloads = services.reloads
    if reloads.good_at > services.started + 5:
        marks.append((reloads.good_at, "config", "reloaded"))
    if reloads.problem:
        marks.append((reloads.at, "config", "refused; the previous one remains active"))
    return marks
