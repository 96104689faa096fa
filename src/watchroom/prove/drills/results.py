"""The outcome of drills as results to record."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from watchroom.formats.manifest import alert_of, drills_by_name
from watchroom.prove.receivers import reach
from watchroom.prove.records import FAILED, PASSED, Result, fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from watchroom.formats.manifest import Manifest
    from watchroom.prove.drills.batch import BatchOutcome
    from watchroom.prove.drills.drill import Built, Verdict

RUN = "run", "drill --all"


def of_drills(built: Built, outcome: BatchOutcome) -> list[Result]:
    """Return a result per alert and receiver, and for the run of `--all`."""
    marks = rule_marks(built.manifest)
    return [
        *(_of_verdict(each, marks.get(each.alert, "")) for each in outcome.verdicts),
        *of_answers(
            built,
            [*outcome.answers, *(a for v in outcome.verdicts for a in v.answers)],
        ),
        *_of_run(outcome),
    ]


def rule_marks(manifest: Manifest) -> dict[str, str]:
    """Return the fingerprint of each drilled rule by the name of its drill."""
    marks = {}
    for name, drill in drills_by_name(manifest).items():
        rule = alert_of(manifest, drill)
        marks[name] = fingerprint(rule.expr, rule.for_) if rule else ""
    return marks


def _of_verdict(verdict: Verdict, mark: str) -> Result:
    ran = verdict.ran
    how = (
        f"accelerated: for {ran.hold} instead of {ran.instead_of}"
        if ran.instead_of
        else f"unchanged: for {ran.hold}"
    )
    if verdict.broken:
        detail, more = f"{verdict.broken}: {verdict.reason}", ""
    else:
        detail, more = how, ""
    return Result(
        "drill",
        verdict.alert,
        verdict.at,
        PASSED if verdict.passed else FAILED,
        detail,
        more,
        verdict.seconds("delivered"),
        mark,
    )


def of_answers(built: Built, answers: Iterable[reach.ReceiverAnswer]) -> list[Result]:
    """Return a result per receiver; one refusal counts more than an acceptance."""
    now = time.time()
    by_name = built.config.receivers_by_name
    results: dict[str, Result] = {}
    for name, accepted, detail in answers:
        if name in results and results[name].state == FAILED:
            continue
        mark = reach.mark(by_name[name], built.directory)
        state = PASSED if accepted else FAILED
        results[name] = Result("receiver", name, now, state, detail, of=mark)
    return list(results.values())


def _of_run(outcome: BatchOutcome) -> Iterator[Result]:
    if not outcome.answers:
        return
    arrived = sum(verdict.passed for verdict in outcome.verdicts)
    yield Result(
        *RUN,
        max(verdict.at for verdict in outcome.verdicts),
        PASSED if outcome.passed else FAILED,
        f"{arrived} of {len(outcome.verdicts)} pages arrived",
    )
