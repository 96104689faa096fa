"""The output of drills, while they run and at the end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rich.markup import escape

if TYPE_CHECKING:
    from typing import Self

    from rich.console import Console

    from watchroom.prove.drills.batch import BatchOutcome
    from watchroom.prove.drills.drill import DrilledRule, Stage, Verdict
    from watchroom.prove.drills.wake import WakeResult

_NAMED_AT_ONCE = 3


class _Screen:
    def __init__(self, console: Console) -> None:
        self._console = console
        # A spinner on a terminal, nothing elsewhere: `for` alone may take minutes.
        self._status = console.status("")

    def __enter__(self) -> Self:
        self._status.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._status.stop()

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)


class Serial(_Screen):
    """Drills one after the other, stage by stage."""

    def __init__(self, console: Console, server: str) -> None:
        super().__init__(console)
        self._server = server

    def announce(self, alert: str, ran: DrilledRule) -> None:
        """Print which alert is drilled, and with which rule."""
        note = ""
        if ran.instead_of:
            note = f"; accelerated copy: for {ran.hold} instead of "
            note += ran.instead_of
        elif ran.hold not in {"", "0s"}:
            note = f"; its `for` is {ran.hold}"
        self._print(f"[bold]{escape(alert)}[/] on {escape(self._server)}{note}")

    def waits(self, stage: str) -> None:
        """Show which stage is waited for."""
        self._status.update(f"[dim]waiting for stage: {stage}[/]")

    def reached(self, stage: Stage) -> None:
        """Print that a stage was reached."""
        line = f"{stage.name:<10}{stage.seconds:7.1f} s   {escape(stage.detail)}"
        self._print(f"  [green]✓[/] {line}")

    def conclude(self, verdict: Verdict) -> None:
        """Print how it ended."""
        if verdict.broken:
            reason = escape(verdict.reason)
            self._print(f"  [red]✗ {verdict.broken:<10}[/]{reason}")
            return
        self._print(
            f"  [bold green]passed[/]: the page arrived "
            f"{verdict.seconds('delivered') or 0:.1f} s after the fault, resolved "
            f"{verdict.seconds('resolved') or 0:.1f} s after the recovery"
        )


class Parallel(_Screen):
    """Drills in parallel: a line for each that ended, and what is running."""

    def __init__(self, console: Console, server: str, count: int) -> None:
        super().__init__(console)
        self._count = count
        self._lock = threading.Lock()
        self._under_way: dict[str, str] = {}
        self._arrived = 0
        self._print(f"[bold]{count} alerts[/] on {escape(server)}, in parallel")

    def began(self, alert: str, ran: DrilledRule) -> None:
        """Show that a drill began."""
        del ran
        self.waits(alert, "started")

    def waits(self, alert: str, stage: str) -> None:
        """Show what is running."""
        with self._lock:
            self._under_way[alert] = stage
            self._update()

    def reached(self, alert: str, stage: Stage) -> None:
        """Count the pages that arrived."""
        del alert
        if stage.name == "delivered":
            with self._lock:
                self._arrived += 1
                self._update()

    def ended(self, verdict: Verdict) -> None:
        """Print how one drill ended."""
        with self._lock:
            self._under_way.pop(verdict.alert, None)
            self._print(_line(verdict))
            self._update()

    def _update(self) -> None:
        named = list(self._under_way.items())
        shown = ", ".join(f"{a} ({s})" for a, s in named[:_NAMED_AT_ONCE])
        more = len(named) - _NAMED_AT_ONCE
        self._status.update(
            f"[dim]{self._arrived} of {self._count} pages arrived; waiting for "
            f"{escape(shown)}{f' and {more} more' if more > 0 else ''}[/]"
        )


def _line(verdict: Verdict) -> str:
    ran = verdict.ran
    note = f"accelerated: for {ran.hold} instead of {ran.instead_of}"
    if not ran.instead_of:
        note = "no `for`" if ran.hold in {"", "0s"} else f"for {ran.hold}"
    name = f"{escape(verdict.alert):<28}"
    if verdict.broken:
        reason = escape(verdict.reason)
        return f"  [red]✗[/] {name}[red]{verdict.broken}[/]: {reason} [dim]({note})[/]"
    return (
        f"  [green]✓[/] {name}page {verdict.seconds('delivered') or 0:6.1f} s, "
        f"resolved {verdict.seconds('resolved') or 0:6.1f} s   [dim]{note}[/]"
    )


def summary(console: Console, outcome: BatchOutcome, took: float, where: str) -> None:
    """Print how all drills ended, the receivers' answers and where results are."""
    for answer in outcome.answers:
        mark = "[green]✓[/]" if answer.accepted else "[red]✗[/]"
        result = "accepted the [DRILL] message" if answer.accepted else "refused it"
        console.print(
            f"  {mark} {escape(f'receiver {answer.receiver}'):<28}{escape(result)}: "
            f"{escape(answer.detail)}",
            soft_wrap=True,
        )
    arrived = sum(verdict.passed for verdict in outcome.verdicts)
    copies = sum(bool(verdict.ran.instead_of) for verdict in outcome.verdicts)
    colour = "green" if outcome.passed else "red"
    note = (
        f"; {copies} as accelerated copies (same expression, shorter `for`)"
        if copies
        else ""
    )
    console.print(
        f"[bold {colour}]{arrived} of {len(outcome.verdicts)} pages arrived[/] in "
        f"{_minutes(took)}{note}",
        soft_wrap=True,
    )
    if where:
        console.print(f"[dim]results saved: {escape(where)}[/]", soft_wrap=True)


def woken(console: Console, woken: WakeResult) -> None:
    """Print whether the page was acknowledged, and how soon."""
    if not woken.passed:
        console.print(
            f"[bold red]not acknowledged[/]: {escape(woken.reason)}", soft_wrap=True
        )
        return
    console.print(
        f"[bold green]page accepted {woken.knew or 0:.1f} s after the fault, "
        f"acknowledged by {escape(woken.by)} {woken.answered or 0:.0f} s after the "
        "fault[/]",
        soft_wrap=True,
    )


def woken_document(woken: WakeResult) -> dict[str, object]:
    """Return the result for `--json`."""
    return {
        "passed": woken.passed,
        "name": woken.name,
        "alert": woken.verdict.alert,
        "knew_seconds": woken.knew,
        "acknowledged_seconds": woken.answered,
        "by": woken.by,
        "reason": woken.reason,
    }


def plain(error: Exception) -> str:
    """Return an error's text, safe to print."""
    return escape(str(error))


def document(outcome: BatchOutcome, took: float) -> dict[str, object]:
    """Return the outcome for `--json`."""
    return {
        "passed": outcome.passed,
        "seconds": round(took, 1),
        "drills": [
            {
                "alert": verdict.alert,
                "nonce": verdict.nonce,
                "at": verdict.at,
                "passed": verdict.passed,
                "broken": verdict.broken,
                "reason": verdict.reason,
                "ran": {
                    "rule": verdict.ran.rule,
                    "for": verdict.ran.hold,
                    "accelerated": bool(verdict.ran.instead_of),
                    "instead_of": verdict.ran.instead_of,
                },
                "receivers": verdict.receivers,
                "stages": [stage._asdict() for stage in verdict.stages],
            }
            for verdict in outcome.verdicts
        ],
        "receivers": [answer._asdict() for answer in outcome.answers],
    }


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
