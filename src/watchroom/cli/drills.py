"""Drills as `watchroom drill` runs them, shown and recorded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console
from rich.markup import escape

from watchroom.cli import drill_screen
from watchroom.cli.servers import records_of
from watchroom.errors import ConfigError, WatchroomError
from watchroom.formats.manifest import drills_by_name
from watchroom.prove.chain import View, real_pages
from watchroom.prove.drills.batch import Batch, BatchOutcome
from watchroom.prove.drills.drill import DrillOptions, DrillRun
from watchroom.prove.drills.results import of_answers, of_drills
from watchroom.prove.drills.wake import WakeRun, alert_for, person

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.prove.chain import Chain
    from watchroom.prove.drills.drill import Built
    from watchroom.prove.records import Result


def wanted(built: Built, alerts: Sequence[str], *, every: bool) -> list[str]:
    """Return the names of the drills to run.

    Raises:
        ConfigError: An alert has no drill.
    """
    if every:
        return list(drills_by_name(built.manifest))
    for name in alerts:
        built.drill(name)
    return list(alerts)


def refuse_in_earnest(chain: Chain, *, force: bool) -> None:
    """Refuse drills while a real P1 fires.

    Raises:
        ConfigError: A P1 fires, and `force` is not given.
    """
    if (real := real_pages(chain)) and not force:
        raise ConfigError(
            f"a real P1 is firing: {', '.join(real)}",
            hint="wait until it resolves, or use --force to drill now",
        )


class Ended(NamedTuple):
    """How drills ended: the exit code, and the document of `--json`."""

    passed: bool
    document: dict[str, object]


class Drills:
    """The drills of one call, on one chain of servers."""

    def __init__(self, chain: Chain, built: Built, *, as_json: bool) -> None:
        self._chain = chain
        self._built = built
        self._console = Console(highlight=False, stderr=as_json)
        inputs = built.manifest.inputs
        if inputs.for_ or inputs.window:
            self._console.print(
                f"[dim]built with a short window ({inputs.window}) and `for` "
                f"({inputs.for_}): in production the times below are longer[/]"
            )

    def run(
        self, names: Sequence[str], patience: float, *, accelerated: bool, every: bool
    ) -> Ended:
        """Run drills one after the other, or all of them in parallel."""
        begun = time.monotonic()
        how = DrillOptions(patience, accelerated)
        outcome = self._all(names, how) if every else self._each(names, how)
        took = time.monotonic() - begun
        where = self._keep(of_drills(self._built, outcome))
        if every:
            drill_screen.summary(self._console, outcome, took, where)
        return Ended(outcome.passed, drill_screen.document(outcome, took))

    def _each(self, names: Sequence[str], how: DrillOptions) -> BatchOutcome:
        chain, verdicts = self._chain, []
        for alert in names:
            with drill_screen.Serial(self._console, chain.prometheus) as screen:
                run = DrillRun(
                    *(chain, View(chain), self._built, alert, how),
                    *(screen.reached, screen.waits),
                )
                screen.announce(alert, run.ran)
                verdicts.append(run.run())
            screen.conclude(verdicts[-1])
        return BatchOutcome(verdicts, [])

    def _all(self, names: Sequence[str], how: DrillOptions) -> BatchOutcome:
        server = self._chain.prometheus
        with drill_screen.Parallel(self._console, server, len(names)) as screen:
            return Batch(self._chain, self._built, how, screen).run(names)

    def wake(
        self, name: str, alerts: Sequence[str], seconds: float, patience: float
    ) -> Ended:
        """Page a contact as a test, and wait for the acknowledgement.

        Raises:
            ConfigError: The contact is unknown, or the server can't acknowledge.
        """
        chain, built, console = self._chain, self._built, self._console
        if not chain.embedded:
            raise ConfigError(
                "--wake needs the embedded monitor, which keeps the acknowledgement",
                field="--url",
            )
        who = person(built, name)
        with drill_screen.Serial(console, chain.prometheus) as screen:
            run = WakeRun(
                *(chain, built, alerts[0] if alerts else alert_for(built), who),
                *(patience, screen.reached, screen.waits),
            )
            console.print(
                f"paging {escape(who.name)} with a test alert", soft_wrap=True
            )
            screen.announce(run.alert, run.ran)
            woken = run.wake(seconds)
        drill_screen.woken(console, woken)
        answers = of_answers(built, woken.verdict.answers)
        self._keep([woken.result(), *answers])
        return Ended(woken.passed, drill_screen.woken_document(woken))

    def _keep(self, results: Sequence[Result]) -> str:
        try:
            records = records_of(self._chain, self._built.manifest.name)
            records.note(results)
        except WatchroomError as error:
            reason = drill_screen.plain(error)
            self._console.print(f"[yellow]the results could not be saved[/]: {reason}")
            return ""
        return records.where
