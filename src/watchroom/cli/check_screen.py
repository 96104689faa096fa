"""The output of `watchroom check`: each item as it is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from watchroom.errors import WatchroomError
from watchroom.prove.checklist import run
from watchroom.prove.records import FAILED, PASSED, UNVERIFIABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.prove.checklist.run import Checked
    from watchroom.prove.records import Known, Records

_MARKS = {
    PASSED: ("green", "●", "verified"),
    FAILED: ("red", "▲", "to do"),
    UNVERIFIABLE: ("yellow", "○", "cannot be verified here"),
}


class Screen:
    """The checklist on a terminal; on stderr where stdout is JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self._console = Console(highlight=False, stderr=as_json)

    def known(self, records: Records) -> Known:
        """Return earlier results, or none where they cannot be read, and say so."""
        try:
            return records.known()
        except WatchroomError as error:
            self._print(f"[yellow]earlier results can't be read[/]: {_text(error)}")
            return {}

    def show(self, checked: Checked) -> None:
        """Show one item with its evidence and what to do next."""
        colour, mark, words = _MARKS[checked.finding.state]
        title = _text(checked.item.title)
        self._print(f"[{colour}]{mark}[/] [bold]{title}[/]  [{colour}]{words}[/]")
        self._print(f"    {_text(checked.finding.evidence)}")
        if checked.finding.next:
            self._print(f"    [dim]next:[/] {_text(checked.finding.next)}")

    def conclude(self, checked: Sequence[Checked]) -> None:
        """Show how many items have which state."""
        states = [each.finding.state for each in checked]
        self._print(
            f"[bold]{states.count(PASSED)} of {len(checked)} verified[/], "
            f"{states.count(FAILED)} to do, "
            f"{states.count(UNVERIFIABLE)} can't be verified from here"
        )

    def keep(self, records: Records, checked: list[Checked], now: float) -> None:
        """Store the results for later checks and the monitor."""
        try:
            records.note(run.results(checked, now))
        except WatchroomError as error:
            self._print(f"[yellow]the result could not be saved[/]: {_text(error)}")
            return
        self._print(f"[dim]result saved: {_text(records.where)}[/]")

    def _print(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)


def _text(value: object) -> str:
    return escape(str(value))
