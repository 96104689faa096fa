"""The checklist page: what was proven, when, and what to do next."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from watchroom.formats.checklist import BESIDE, ITEMS, LAUNCH
from watchroom.formats.manifest import drills_by_name
from watchroom.monitor.console.render import Page
from watchroom.monitor.notify import metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp import web

    from watchroom.formats.checklist import Item
    from watchroom.formats.manifest import Manifest
    from watchroom.monitor.state.proofs import Proof

_DAY = 86400.0
_SIGNS = {
    "passed": ("●", "ok", "verified"),
    "failed": ("▲", "fire", "to do"),
    "unverifiable": ("○", "none", "can't be verified here"),
    "old": ("◆", "warn", "verified too long ago"),
    "never": ("◆", "warn", "never checked"),
}
_HEARTBEAT = next(item.title for item in BESIDE if item.id == "heartbeat")
_SET_UP = "name a heartbeat service in WATCHROOM['HEARTBEAT'], then run watchroom build"
_DRILL_DAYS = 30
_DRILL_WORDS = {
    "passed": "passed",
    "failed": "failed",
    "old": "passed too long ago",
    "never": "never drilled",
}
_RECEIVER_WORDS = {
    "passed": "accepted",
    "failed": "refused",
    "old": "accepted too long ago",
    "never": "never tested",
}


class ChecklistLine(NamedTuple):
    """One item and its last result."""

    name: str
    state: str
    symbol: str
    css: str
    words: str
    detail: str
    more: str
    at: float | None
    seconds: float | None


class Checked(NamedTuple):
    """The page's lines, by what they are about.

    Attributes:
        launch: The guide's nine items.
        beside: What is also required.
        drills: The alerts.
        receivers: Where notifications go.
        verified: How many of the items are verified.
        items: How many there are.
        worst: The CSS class of the whole.
    """

    launch: Sequence[ChecklistLine]
    beside: Sequence[ChecklistLine]
    drills: Sequence[ChecklistLine]
    receivers: Sequence[ChecklistLine]
    verified: int
    items: int
    worst: str


class Checklist(Page):
    """Handler of /checklist."""

    def routes(self, app: web.Application) -> None:
        """Add the handler to `app`."""
        app.router.add_get("/checklist", self.checklist)

    async def checklist(self, request: web.Request) -> web.Response:
        """Show what is verified, and what is still to be done."""
        services = self._services
        proofs = await asyncio.to_thread(services.proofs.all)
        now = services.now()
        beats = metrics.has_heartbeat(services)
        checked = lines(proofs, services.config.manifest, now, heartbeat=beats)
        run = last_run(proofs, now)
        return self._renderer.page(
            request, "checklist.html", checked=checked, run=run, now=now
        )


def lines(
    proofs: Sequence[Proof],
    manifest: Manifest | None,
    now: float,
    *,
    heartbeat: bool = True,
) -> Checked:
    """Return the lines of the page.

    Args:
        proofs: The last result of each thing.
        manifest: Of the build; alerts and receivers not in it are not shown.
        now: Epoch seconds.
        heartbeat: Whether an external heartbeat is set up.
    """
    known = {(proof.kind, proof.name): proof for proof in proofs}
    launch = [_item(item, known, now) for item in LAUNCH]
    beside = [_item(item, known, now) for item in BESIDE]
    if not heartbeat:
        beside = [
            _not_set_up(line) if line.name == _HEARTBEAT else line for line in beside
        ]
    both = [*launch, *beside]
    states = {line.state for line in both}
    return Checked(
        launch,
        beside,
        [
            _line(name, known.get(("drill", name)), _DRILL_DAYS, now, _DRILL_WORDS)
            for name in (sorted(drills_by_name(manifest)) if manifest else ())
        ],
        [
            _line(
                name, known.get(("receiver", name)), _DRILL_DAYS, now, _RECEIVER_WORDS
            )
            for name in (manifest.receivers if manifest else ())
        ],
        sum(line.state == "passed" for line in both),
        len(ITEMS),
        "fire" if "failed" in states else "ok" if states == {"passed"} else "warn",
    )


class DrillRun(NamedTuple):
    """The last time that all rules were drilled.

    Attributes:
        ago: Seconds since then.
        text: ``16 of 16 arrived``.
        bad: Whether a page did not arrive, or the run is too old.
    """

    ago: float
    text: str
    bad: bool


def last_run(proofs: Sequence[Proof], now: float) -> DrillRun | None:
    """Return the last drill of every rule, or None before the first."""
    for proof in proofs:
        if proof.kind == "run":
            ago = max(0.0, now - proof.at)
            bad = proof.state != "passed" or ago > _DRILL_DAYS * _DAY
            return DrillRun(ago, proof.detail, bad)
    return None


def _not_set_up(line: ChecklistLine) -> ChecklistLine:
    """Return the heartbeat's line while no heartbeat is set up."""
    if line.state == "failed":
        return line
    symbol, css, _ = _SIGNS["old"]
    return line._replace(
        state="old", symbol=symbol, css=css, words="not set up", more=_SET_UP
    )


def _item(
    item: Item, known: Mapping[tuple[str, str], Proof], now: float
) -> ChecklistLine:
    line = _line(item.title, known.get(("item", item.id)), item.lasts_days, now)
    more = "watchroom check" if line.state in {"old", "never"} else line.more
    return line._replace(more=more, seconds=None)


def _line(
    name: str,
    proof: Proof | None,
    days: int,
    now: float,
    words: Mapping[str, str] = MappingProxyType({}),
) -> ChecklistLine:
    state = _state(proof, days, now)
    symbol, css, usual = _SIGNS[state]
    state_words = words.get(state, usual)
    if proof is None:
        return ChecklistLine(name, state, symbol, css, state_words, "", "", None, None)
    seen = (proof.detail, proof.more, proof.at, proof.seconds)
    return ChecklistLine(name, state, symbol, css, state_words, *seen)


def _state(proof: Proof | None, days: int, now: float) -> str:
    if proof is None:
        return "never"
    if proof.state == "passed" and now - proof.at > days * _DAY:
        return "old"
    return proof.state
