"""`watchroom ack [INCIDENT]`: acknowledge an incident."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from watchroom.cli.ask import Monitor, fail, say
from watchroom.cli.options import name_of, where
from watchroom.units import ago

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("incident", required=False, type=click.IntRange(1))
@name_of("Your name, as in contacts.yml. [$USER]")
@click.option("--reason", help="What you are doing about it; required to acknowledge.")
@where
def ack(
    *,
    incident: int | None,
    who: str,
    reason: str | None,
    directory: Path | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Acknowledge an incident: repeat pages and escalation stop.

    If a P1 is still firing after `ack_timeout` (in contacts.yml; default: 30 minutes),
    it pages again.

    INCIDENT is a number. Without it, the command takes the only incident that is not
    acknowledged; if there are several, it lists them. Without --reason it lists the
    open incidents and changes nothing.

    \b
    Examples:
      watchroom ack
      watchroom ack --as Anna --reason "looking at the last deploy"
      watchroom ack 31 --as Anna --reason "rolling back"

    Exit codes: 0 acknowledged or listed, 1 refused, or INCIDENT is needed, 2 the
    monitor can't be reached.
    """  # noqa: D301 - click reads \b as the control character
    monitor = Monitor(directory, url)
    if reason is None:
        incidents = monitor.get("/incidents")
        say(incidents, lines(incidents), as_json=as_json)
        return
    number = incident or _only_unacknowledged(monitor.get("/incidents"))
    form = {"as": who, "reason": reason}
    done = monitor.post(f"/incidents/{number}/acknowledge", **form)
    by = done["acknowledged"]["by"]
    text = f"incident {number} ({done['title']}) acknowledged by {by}"
    say(done, text, as_json=as_json)


def _only_unacknowledged(incidents: list[dict[str, Any]]) -> int:
    waiting = [incident for incident in incidents if incident["state"] == "firing"]
    if len(waiting) == 1:
        return int(waiting[0]["id"])
    if not waiting:
        fail("nothing to acknowledge")
    fail(
        f"{len(waiting)} incidents are not acknowledged; give one's number:\n"
        f"{lines(waiting)}"
    )
    return 0


def lines(incidents: list[dict[str, Any]]) -> str:
    """Return incidents for people, one a line."""
    if not incidents:
        return "no open incidents"
    now = time.time()
    return "\n".join(
        f"{incident['id']:>5}  {incident['priority']}  {_state(incident):<24}  "
        f"{ago(now - incident['opened']):<14}  {incident['title']}"
        for incident in incidents
    )


def _state(incident: dict[str, Any]) -> str:
    by = (incident.get("acknowledged") or {}).get("by", "")
    return (
        f"{incident['state']} by {by}"
        if incident["state"] == "acknowledged"
        else incident["state"]
    )
