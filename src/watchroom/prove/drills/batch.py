"""Every drill of a build side by side, and one message to each receiver for all."""

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
    from watchroom.prove.drills.drill import Built, How, Ran, Stage, Verdict

# The exporter runs 24: another client finds room beside us.
WIDTH = 16


class Watcher(Protocol):
    """Who is told of the progress; from several threads."""

    def began(self, alert: str, ran: Ran) -> None:
        """Take note that a drill began."""

    def waits(self, alert: str, stage: str) -> None:
        """Take note of what a drill waits for."""

    def reached(self, alert: str, stage: Stage) -> None:
        """Take note that a stage came true."""

    def ended(self, verdict: Verdict) -> None:
        """Take note that a drill ended."""


class BatchOutcome(NamedTuple):
    """How all drills ended.

    Attributes:
        verdicts: One a drill, in the order asked for.
        told: What each receiver said to the one message.
    """

    verdicts: list[Verdict]
    told: list[reach.ReceiverAnswer]

    @property
    def passed(self) -> bool:
        """Whether every drill passed and every receiver took the message."""
        arrived = all(verdict.passed for verdict in self.verdicts)
        return arrived and all(answer.accepted for answer in self.told)


class Batch:
    """Runs drills side by side.

    Args:
        chain: The servers.
        built: What was built.
        how: How each is run; each receiver is told once for all of them.
        watcher: Who is told of the progress.
    """

    def __init__(self, chain: Chain, built: Built, how: How, watcher: Watcher) -> None:
        self._chain = chain
        self._view = View(chain)
        self._built = built
        self._how = how._replace(tell=False)
        self._watcher = watcher
        self._stop = threading.Event()

    def run(self, alerts: Sequence[str]) -> BatchOutcome:
        """Drill `alerts`; an interrupt stops what runs, and leaves nothing running.

        Raises:
            ConfigError: The build knows no drill for one of them.
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
        names = dict.fromkeys(name for one in verdicts for name in one.receivers)
        by_name = {one.name: one for one in self._built.config.receivers}
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
        loud = [by_name[name] for name in names]
        return reach.tell(loud, self._built.directory, note)
