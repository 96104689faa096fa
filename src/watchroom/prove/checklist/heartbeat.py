"""An external service gets the heartbeat, and notices when it stops."""

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
from watchroom.urgency import HEARTBEAT

if TYPE_CHECKING:
    from watchroom.prove.checklist.world import World

_LATE_SECONDS = 600.0
_SETTING = (
    "set WATCHROOM = {'HEARTBEAT': 'heartbeat_url'}: the secret file with the URL of "
    "a service that alerts you when heartbeats stop; then build"
)


def heartbeat(world: World) -> Finding:
    """The alert that always fires is accepted by a receiver on another machine."""
    config = world.built.config
    labels = {"alertname": HEARTBEAT, "severity": "none", "job": "app"}
    labels["env"] = world.built.manifest.environment
    by_name = config.receivers_by_name
    names = [
        name for name in reach.receivers(config, labels) if by_name[name].integrations()
    ]
    if not names:
        return red(
            "no external heartbeat: if this machine dies, nobody is notified", _SETTING
        )
    hosts = [
        url
        for name in names
        for url in reach.urls(by_name[name], world.built.directory)
    ]
    if hosts and all(map(is_loopback, hosts)):
        return red("the heartbeat goes to this same machine", _SETTING)
    if not world.chain.embedded:
        return unclear(
            f"Watchdog is routed to {named(names)}; Alertmanager doesn't report "
            "whether it was accepted",
            "look at the heartbeat service's page: it shows the last heartbeat",
        )
    rows = {row["receiver"]: row for row in world.ask("watchroom/receivers")}
    row = rows.get(names[0])
    if row is None or row["accepted_at"] is None:
        why = f": {row['error']}" if row and row["error"] else ""
        return red(
            f"{names[0]} has not accepted a heartbeat yet{why}",
            "check its address; the overview shows each attempt",
        )
    late = world.now - row["accepted_at"]
    if late > _LATE_SECONDS:
        return red(
            f"{names[0]} last accepted a heartbeat {world.ago(row['accepted_at'])}"
            + (f": {row['error']}" if row["error"] else ""),
            "check its address, and that this machine can reach it",
        )
    return green(f"{names[0]} accepted the last heartbeat {late:.0f} s ago")
