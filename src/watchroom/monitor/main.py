"""One process that scrapes, evaluates, pages and shows: the only wiring there is."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from watchroom.listen import raise_descriptors
from watchroom.monitor.access.connections import (
    MOST_DESCRIPTORS,
    ConnectionListener,
    most_connections,
)
from watchroom.monitor.access.policy import Access
from watchroom.monitor.access.sessions import LINK_SECONDS
from watchroom.monitor.app import application, serve
from watchroom.monitor.child import Child
from watchroom.monitor.clock import Clock
from watchroom.monitor.config import ConfigInForce, Loaded, load
from watchroom.monitor.dispatch.dispatcher import Dispatcher
from watchroom.monitor.dispatch.watchdog import WatchdogPolicy
from watchroom.monitor.notify.ledger import Ledger
from watchroom.monitor.notify.links import outside_links
from watchroom.monitor.notify.metrics import as_alertmanager
from watchroom.monitor.notify.notifier import Notifier
from watchroom.monitor.oncall.acknowledgements import AckForwarder
from watchroom.monitor.oncall.actions import Actions
from watchroom.monitor.oncall.manual import ManualAlerts
from watchroom.monitor.oncall.service import OnCall
from watchroom.monitor.queries import Queries
from watchroom.monitor.reload import Reloader, load_rules
from watchroom.monitor.routing.routing import Routing
from watchroom.monitor.routing.silences import Silences
from watchroom.monitor.rules.loaded import LoadedGroups
from watchroom.monitor.rules.loop import EvaluationCounts, Evaluator
from watchroom.monitor.rules.manager import RuleManager
from watchroom.monitor.schedule import Schedule
from watchroom.monitor.scrape.client import session
from watchroom.monitor.scrape.itself import SelfTarget
from watchroom.monitor.scrape.loop import Scrapers
from watchroom.monitor.scrape.manager import Jobs
from watchroom.monitor.services import Reloads, Services
from watchroom.monitor.state.database import StateDB
from watchroom.monitor.state.directory import StorageDir
from watchroom.monitor.state.proofs import Proofs
from watchroom.monitor.store import Store
from watchroom.monitor.survived import survived
from watchroom.promql.engine import Engine
from watchroom.runtime.state import state_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import aiohttp

    from watchroom.listen import Listen

_QUERY_SECONDS = 30.0
_RULE_SECONDS = 20.0
_MOST_SAMPLES = 20_000_000
_MAINTENANCE_SECONDS = 30.0
_THREADS = 64
"""For files, state.db and names: one that does not resolve holds a thread for up to
half a minute, and asyncio's own pool has six on two cores."""


class Options(NamedTuple):
    """The options of `watchroom run`.

    Attributes:
        files: The built directory.
        listen: Where to answer.
        storage: The state directory, or None for the usual one.
        retention_seconds: How long samples are kept.
        retention_bytes: How large they may grow.
        project: Where the Django project is whose exporter is kept running, or None.
        settings: Its settings module.
        token_group: Who may read the token that the monitor makes, besides its user.
        offers_login: Whether a one-time login link may be printed: to a terminal, not
            to a journal that others read.
    """

    files: Path
    listen: Listen
    storage: str | None = None
    retention_seconds: float = 31 * 86400.0
    retention_bytes: int = 2 * 2**30
    project: Path | None = None
    settings: str = ""
    token_group: str = ""
    offers_login: bool = False


def run(options: Options, env: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Watch until SIGTERM or SIGINT.

    Raises:
        ConfigError: The files, the state directory or the address is invalid.
    """
    loaded = load(options.files)
    where = state_path(options.storage, loaded.name, env)
    with StorageDir(where, options.files) as storage:
        token, configured = storage.token(env, options.token_group)
        access = Access(
            token,
            configured=configured,
            listen=options.listen,
            public=loaded.monitor_url,
            prefix=loaded.monitor_prefix,
            ended=storage.path / "logouts",
        )
        url = options.listen.url
        with (
            StateDB(storage.path) as state,
            Store(
                storage.path,
                retention_seconds=options.retention_seconds,
                retention_bytes=options.retention_bytes,
            ) as store,
        ):
            monitor = _Monitor(options, loaded, access, state, store, url)
            asyncio.run(monitor.serve(env, say, storage))


class _Paging(NamedTuple):
    """What lies between an alert and whom it notifies, and what people do about it."""

    ledger: Ledger
    silences: Silences
    oncall: OnCall
    dispatcher: Dispatcher
    notifier: Notifier
    manual: ManualAlerts
    actions: Actions
    now: Callable[[], float]


class _Monitor:
    """The parts, and the order in which they start and stop."""

    def __init__(
        self,
        options: Options,
        loaded: Loaded,
        access: Access,
        state: StateDB,
        store: Store,
        url: str,
    ) -> None:
        self._options = options
        self._loaded = loaded
        self._access = access
        self._state = state
        self._store = store
        self._url = url
        self._listener = ConnectionListener(
            most_connections(raise_descriptors(MOST_DESCRIPTORS))
        )
        self._public = (loaded.monitor_url or url).rstrip("/")
        self._schedule = Schedule()
        self._parse_pool = ThreadPoolExecutor(2, thread_name_prefix="scrape")

    async def serve(
        self, env: Mapping[str, str], say: Callable[[str], None], storage: StorageDir
    ) -> None:
        """Start everything, wait for a signal, stop everything."""
        asyncio.get_running_loop().set_default_executor(
            ThreadPoolExecutor(_THREADS, thread_name_prefix="io")
        )
        async with session() as scrapes, session() as pages:
            services, jobs, evaluator = self._parts(scrapes, pages)
            reloader = Reloader(services, jobs, evaluator)
            await asyncio.to_thread(load_rules, services, self._loaded)
            app = application(services, reloader)
            runner = await serve(app, self._options.listen, self._listener)
            storage.note_address(self._url)
            tasks = [
                asyncio.create_task(services.notifier.run(), name="notifier"),
                asyncio.create_task(self._maintain(), name="maintenance"),
                asyncio.create_task(self._watch(services), name="on call"),
            ]
            if self._options.project is not None:
                tasks.append(asyncio.create_task(self._exporter(env).run()))
            try:
                await reloader.begin(self._loaded)
                services.ready = True
                self._announce(say)
                await _signalled(reloader, tasks)
            finally:
                await jobs.stop()
                await evaluator.stop()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._listener.close()
                await runner.cleanup()
                await asyncio.to_thread(services.queries.close)
                self._parse_pool.shutdown()

    @staticmethod
    async def _watch(services: Services) -> None:
        oncall, tell = services.oncall, services.notifier.acknowledge
        await oncall.watch(
            services.queries,
            every=lambda: services.config.evaluation_seconds,
            exprs=services.rules.loaded.exprs,
            acknowledge=AckForwarder(oncall.incidents, tell, oncall.now_ms).forward,
        )

    def _parts(
        self, scrapes: aiohttp.ClientSession, pages: aiohttp.ClientSession
    ) -> tuple[Services, Jobs, Evaluator]:
        """Build the parts, each from those before it; none is changed afterwards."""
        store, groups = self._store, LoadedGroups()
        in_force = ConfigInForce(self._loaded)
        judging, answering = map(self._engine, (_RULE_SECONDS, _QUERY_SECONDS))
        paging = self._paging(pages, in_force, groups)
        rules = RuleManager(
            state=self._state,
            store=store,
            engine=judging,
            sink=paging.notifier.submit,
            loaded=groups,
            external_url=self._public,
        )
        itself = SelfTarget(partial(as_alertmanager, paging))
        scrapers = Scrapers(self._schedule, scrapes, store, self._parse_pool, itself)
        jobs = Jobs(scrapes, scrapers)
        pulse = EvaluationCounts()
        evaluator = Evaluator(rules, self._schedule, pulse, now=paging.now)
        services = Services(
            in_force=in_force,
            state=self._state,
            store=store,
            queries=Queries(store, answering, seconds=_QUERY_SECONDS),
            engines={"rules": judging, "queries": answering},
            rules=rules,
            dispatcher=paging.dispatcher,
            ledger=paging.ledger,
            silences=paging.silences,
            notifier=paging.notifier,
            oncall=paging.oncall,
            actions=paging.actions,
            manual=paging.manual,
            proofs=Proofs(self._state),
            itself=itself,
            scrapers=scrapers,
            access=self._access,
            listener=self._listener,
            dropped_targets=jobs.dropped,
            discovery_failures=jobs.failures,
            external_url=self._public,
            reloads=Reloads(good_at=time.time()),
            pulse=pulse,
        )
        return services, jobs, evaluator

    def _engine(self, seconds: float) -> Engine:
        return Engine(
            max_samples=_MOST_SAMPLES,
            timeout_seconds=seconds,
            subquery_step_seconds=self._loaded.evaluation_seconds,
        )

    def _paging(
        self,
        pages: aiohttp.ClientSession,
        in_force: ConfigInForce,
        groups: LoadedGroups,
    ) -> _Paging:
        loaded, store = self._loaded, self._store
        ledger, silences = Ledger(self._state), Silences(self._state)
        routing = Routing(loaded.alertmanager, silences)
        oncall = OnCall(
            self._state,
            token=self._access.token,
            url=self._public,
            places=routing.places,
            contacts=loaded.contacts,
        )
        dispatcher = Dispatcher(
            routing,
            policy=WatchdogPolicy(oncall, groups.ages, lambda: store.ahead),
            log=ledger.notification_log(),
            open_deliveries=ledger.open_deliveries(),
        )
        clock = Clock(moved=(store.moved, dispatcher.moved))
        notifier = Notifier(
            loaded.alertmanager,
            config_dir=loaded.root,
            dispatcher=dispatcher,
            ledger=ledger,
            session=pages,
            external_url=self._public,
            now=clock.now,
            links=lambda notification: outside_links(
                notification, in_force.loaded.manifest, time.time()
            ),
            oncall=oncall,
        )
        manual = ManualAlerts(oncall.incidents, notifier.submit, oncall.now_ms)
        actions = Actions(
            oncall.incidents,
            contacts=lambda: oncall.contacts,
            silences=silences,
            cancel_repeats=notifier.cancel_repeats,
            manual=manual,
            now_ms=oncall.now_ms,
        )
        return _Paging(
            ledger, silences, oncall, dispatcher, notifier, manual, actions, clock.now
        )

    def _exporter(self, env: Mapping[str, str]) -> Child:
        command = [
            *(sys.executable, "-m", "watchroom", "exporter"),
            *("--project", str(self._options.project)),
        ]
        if self._options.settings:
            command += ["--settings", self._options.settings]
        return Child("the exporter", command, env)

    async def _maintain(self) -> None:
        maintain = survived("maintenance of the store failed")(self._store.maintain)
        while True:
            await asyncio.sleep(_MAINTENANCE_SECONDS)
            await asyncio.to_thread(maintain)

    def _announce(self, say: Callable[[str], None]) -> None:
        jobs = ", ".join(job.name for job, _ in self._loaded.jobs) or "none"
        say(f"watchroom: monitoring {self._loaded.root} on {self._url} (jobs: {jobs})")
        if self._loaded.prometheus.alerting is not None:
            say(
                "watchroom: alerting: in prometheus.yml is ignored, since the monitor "
                "sends notifications itself, as alertmanager.yml says"
            )
        if self._options.offers_login:
            code = self._access.sessions.offer()
            say(
                "watchroom: to acknowledge and silence in the browser, open this "
                f"within {LINK_SECONDS // 60} minutes: {self._url}/login/{code}"
            )
        for sentence in self._loaded.unreadable_secrets():
            say(f"watchroom: {sentence}")


async def _signalled(reloader: Reloader, tasks: Sequence[asyncio.Task[None]]) -> None:
    """Return at SIGTERM or SIGINT; raise what ended a task that must not end."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    reloads: set[asyncio.Task[str]] = set()

    def reload() -> None:
        task = asyncio.create_task(reloader())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reload)
    waiter = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait(
            [waiter, *tasks], return_when=asyncio.FIRST_COMPLETED
        )
        for task in done - {waiter}:
            # Not swallowed: a monitor that can no longer deliver must not look alive.
            task.result()
    finally:
        waiter.cancel()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)
