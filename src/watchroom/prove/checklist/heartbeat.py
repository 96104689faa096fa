"""Someone outside hears that the watch lives, and notices when it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.prove.checklist.world import (
    Finding,
    green,
    is_loopback,
    named,
    red,
    unclear,
)
from watchroom.prove.receivers import reach

if TYPE_CHECKING:
    from watchroom.prove.checklist.world import World

_LATE_SECONDS = 600.0
_SETTING = (
    "WATCHROOM = {'HEARTBEAT': 'heartbeat_url'}: the secret that holds the address "
    "of a service that calls you when it hears nothing; then build"
)


def heartbeat(world: World) -> Finding:
    """What always fires reaches a receiver elsewhere, which took it lately."""
    config = world.built.config
    labels = {"alertname": "Watchdog", "severity": "none", "job": "app"}
    labels["env"] = world.built.manifest.environment
    by_name = {one.name: one for one in config.receivers}
    told = [
        name for name in reach.receivers(config, labels) if by_name[name].integrations()
    ]
    if not told:
        return red("nobody outside would notice if this machine died", _SETTING)
    hosts = [
        url for name in told for url in reach.urls(by_name[name], world.built.directory)
    ]
    if hosts and all(map(is_loopback, hosts)):
        return red("the heartbeat goes to this machine itself", _SETTING)
    if not world.chain.embedded:
        return unclear(
            f"Watchdog is routed to {named(told)}; Alertmanager does not tell whether "
            "it was accepted",
            "look at the service's own page: it shows when it last heard",
        )
    rows = {row["receiver"]: row for row in world.ask("watchroom/receivers")}
    row = rows.get(told[0])
    if row is None or row["accepted_at"] is None:
        why = f": {row['error']}" if row and row["error"] else ""
        return red(
            f"{told[0]} has not taken a heartbeat yet{why}",
            "is its address right? the page's `What changed` shows each attempt",
        )
    late = world.now - row["accepted_at"]
    if late > _LATE_SECONDS:
        return red(
            f"{told[0]} last took a heartbeat {world.ago(row['accepted_at'])}"
            + (f": {row['error']}" if row["error"] else ""),
            "is its address right, and this machine's way out open?",
        )
    return green(f"{told[0]} took the last heartbeat {late:.0f} s ago")
