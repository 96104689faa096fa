"""Every drill of a build in parallel, with one message to each receiver."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Protocol

from watchroom.prove.chain import View
from watchroom.prove.drills.drill import DrillRun
from watchroom.prove.receivers import reach, send

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.prove.chain import Chain
    from watchroom.prove.drills.drill import (
        Built,
        DrilledRule,
        DrillOptions,
        Stage,
        Verdict,
    )

# The exporter allows 24, so another client can run some too.
WIDTH = 16


class Watcher(Protocol):
    """Shows the progress of drills; called from several threads."""

    def began(self, alert: str, ran: DrilledRule) -> None:
        """Show that a drill began."""

    def waits(self, alert: str, stage: str) -> None:
        """Show which stage a drill waits for."""

    def reached(self, alert: str, stage: Stage) -> None:
        """Show that a stage was reached."""

    def ended(self, verdict: Verdict) -> None:
        """Show that a drill ended."""


class BatchOutcome(NamedTuple):
    """How all drills ended.

    Attributes:
        verdicts: One per drill, in the given order.
        answers: What each receiver said to the one message.
    """

    verdicts: list[Verdict]
    answers: list[reach.ReceiverAnswer]

    @property
    def passed(self) -> bool:
        """Whether every drill passed and every receiver accepted the message."""
        arrived = all(verdict.passed for verdict in self.verdicts)
        return arrived and all(answer.accepted for answer in self.answers)


class Batch:
    """Runs drills in parallel."""

    def __init__(
        self, chain: Chain, built: Built, how: DrillOptions, watcher: Watcher
    ) -> None:
        self._chain = chain
        self._view = View(chain)
        self._built = built
        self._how = how._replace(tell=False)
        self._watcher = watcher
        self._stop = threading.Event()

    def run(self, alerts: Sequence[str]) -> BatchOutcome:
        """Drill `alerts`; an interrupt stops all of them.

        Raises:
            ConfigError: An alert has no drill in the build.
        """
        runs = {alert: self._prepared(alert) for alert in alerts}
        # The longest first: the whole then takes little more than the longest.
        order = sorted(runs, key=lambda alert: -runs[alert].budget)
        with ThreadPoolExecutor(WIDTH, thread_name_prefix="drill") as pool:
            futures = {alert: pool.submit(self._one, runs[alert]) for alert in order}
            try:
                verdicts = [futures[alert].result() for alert in alerts]
            except BaseException:
                self._stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        return BatchOutcome(verdicts, self._tell(verdicts))

    def _prepared(self, alert: str) -> DrillRun:
        return DrillRun(
            self._chain,
            self._view,
            self._built,
            alert,
            self._how,
            lambda stage: self._watcher.reached(alert, stage),
            lambda stage: self._watcher.waits(alert, stage),
            self._stop,
        )

    def _one(self, run: DrillRun) -> Verdict:
        self._watcher.began(run.alert, run.ran)
        verdict = run.run()
        self._watcher.ended(verdict)
        return verdict

    def _tell(self, verdicts: Sequence[Verdict]) -> list[reach.ReceiverAnswer]:
        names = dict.fromkeys(name for v in verdicts for name in v.receivers)
        receivers = self._built.config.receivers_by_name
        arrived = sum(verdict.passed for verdict in verdicts)
        manifest = self._built.manifest
        note = send.DrillNote(
            "every alert",
            f"[DRILL] {arrived} of {len(verdicts)} alerts of {manifest.project} "
            f"({manifest.environment}) arrived. This tests the notification path; "
            "nothing is wrong",
            "Sent once to each receiver by `watchroom drill --all`.",
            secrets.token_hex(4),
            manifest.monitor_url,
        )
        notifying = [receivers[name] for name in names]
        return reach.send_drill(notifying, self._built.directory, note)
