"""The launch checklist against the live system: each item by its probe."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from watchroom.formats.checklist import ITEMS, Item
from watchroom.prove import client
from watchroom.prove.checklist import (
    backends,
    dashboards,
    heartbeat,
    people,
    reach,
    watch,
)
from watchroom.prove.checklist.world import Finding, World, red
from watchroom.prove.records import FAILED, PASSED, UNVERIFIABLE, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROBES: dict[str, Callable[[World], Finding]] = {
    "health-endpoint": reach.health,
    "scraping": watch.scraping,
    "alerting-rules": watch.rules,
    "error-tracking": backends.errors,
    "dashboards": dashboards.dashboards,
    "on-call": people.on_call,
    "integrations": people.integrations,
    "logs": backends.logs,
    "team": people.team,
    "heartbeat": heartbeat.heartbeat,
    "link": reach.link,
    "metrics-closed": reach.metrics_closed,
    "processes": watch.processes,
}
_AT_ONCE = 8


class Checked(NamedTuple):
    """An item and what its probe found."""

    item: Item
    finding: Finding


def check(world: World) -> Iterator[Checked]:
    """Probe every item, several at once; yield them in the checklist's order."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="check") as pool:
        futures = [(item, pool.submit(_probe, world, item)) for item in ITEMS]
        for item, future in futures:
            yield Checked(item, future.result())


def exit_code(checked: Sequence[Checked]) -> int:
    """Return 0 if all is verified, 1 if something failed, 3 if it can't be told."""
    states = {each.finding.state for each in checked}
    if FAILED in states:
        return 1
    return 3 if UNVERIFIABLE in states else 0


def results(checked: Sequence[Checked], now: float) -> list[Result]:
    """Return the results to record."""
    items = [
        Result(
            "item",
            each.item.id,
            now,
            each.finding.state,
            each.finding.evidence,
            each.finding.next,
        )
        for each in checked
    ]
    return [*items, *(proof for each in checked for proof in each.finding.proofs)]


def verified(checked: Sequence[Checked]) -> int:
    """Return how many items are verified."""
    return sum(each.finding.state == PASSED for each in checked)


def _probe(world: World, item: Item) -> Finding:
    try:
        return PROBES[item.id](world)
    except client.PeerError as error:
        return red(
            str(error), "start it, or give its address: see watchroom check --help"
        )


def document(checked: list[Checked], now: float) -> dict[str, object]:
    """Return results for `--json`; `now` in seconds since the epoch."""
    return {
        "at": now,
        "passed": exit_code(checked) == 0,
        "items": [
            {
                "id": each.item.id,
                "title": each.item.title,
                "state": each.finding.state,
                "evidence": each.finding.evidence,
                "next": each.finding.next,
            }
            for each in checked
        ],
    }
