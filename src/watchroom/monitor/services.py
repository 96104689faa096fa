"""What the HTTP side sees of the running monitor."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watchroom.monitor.rules.loop import EvaluationCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from watchroom.monitor.access.connections import ConnectionListener
    from watchroom.monitor.access.policy import Access
    from watchroom.monitor.config import ConfigInForce, Loaded
    from watchroom.monitor.dispatch.dispatcher import Dispatcher
    from watchroom.monitor.notify.ledger import Ledger
    from watchroom.monitor.notify.notifier import Notifier
    from watchroom.monitor.oncall.actions import Actions
    from watchroom.monitor.oncall.manual import ManualAlerts
    from watchroom.monitor.oncall.service import OnCall
    from watchroom.monitor.queries import Queries
    from watchroom.monitor.routing.silences import Silences
    from watchroom.monitor.rules.manager import RuleManager
    from watchroom.monitor.scrape.itself import SelfTarget
    from watchroom.monitor.scrape.loop import Scrapers
    from watchroom.monitor.state.database import StateDB
    from watchroom.monitor.state.proofs import Proofs
    from watchroom.monitor.store import Store
    from watchroom.promql.engine import Engine
    from watchroom.promql.model import Labels


@dataclass
class Reloads:
    """How reading the files went, last and best.

    Attributes:
        problem: Why the last reload was refused; "" when it was not.
        at: When the last one was tried, epoch seconds.
        good_at: When the active configuration was taken.
        failures: How many were refused.
    """

    problem: str = ""
    at: float = 0.0
    good_at: float = 0.0
    failures: int = 0


@dataclass
class Services:
    """The parts that handlers use."""

    in_force: ConfigInForce
    state: StateDB
    store: Store
    queries: Queries
    engines: Mapping[str, Engine]
    rules: RuleManager
    dispatcher: Dispatcher
    ledger: Ledger
    proofs: Proofs
    notifier: Notifier
    oncall: OnCall
    actions: Actions
    manual: ManualAlerts
    silences: Silences
    itself: SelfTarget
    scrapers: Scrapers
    access: Access
    listener: ConnectionListener
    dropped_targets: Callable[[], list[tuple[str, Labels]]]
    discovery_failures: Callable[[], dict[str, tuple[int, str]]]
    external_url: str
    now: Callable[[], float] = time.time
    started: float = field(default_factory=time.time)
    reloads: Reloads = field(default_factory=Reloads)
    pulse: EvaluationCounts = field(default_factory=EvaluationCounts)
    ready: bool = False

    @property
    def config(self) -> Loaded:
        """The active configuration."""
        return self.in_force.loaded

    def warnings(self) -> list[str]:
        """Return what went wrong and was survived, and secrets that cannot be read."""
        return [
            *self.state.warnings,
            *self.store.warnings,
            *self.config.unreadable_secrets(),
        ]
