"""What people did, for the list of what changed: deployments, incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from watchroom.monitor.console.overview.changes import Change
from watchroom.units import span
from watchroom.urgency import opens_incident

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp import web

    from watchroom.monitor.console.overview.readings import Transition
    from watchroom.monitor.oncall.incident import Event
    from watchroom.monitor.oncall.records import Deploy
    from watchroom.monitor.oncall.service import OnCall

WHO = "watchroom_who"
"""The cookie by which a browser remembers its user's name; it proves nothing."""

_NEAR_MS = 3_600_000
_ACTS = {
    "acknowledged": ("✓", "ok"),
    "mitigated": ("✓", "ok"),
    "resolved": ("✓", "ok"),
    "reviewed": ("✓", "ok"),
    "silenced": ("–", "warn"),
    "unsilenced": ("–", ""),
    "opened": ("▲", "fire"),
}


def present(oncall: OnCall, request: web.Request) -> dict[str, Any]:
    """Return what a form needs to ask for a name and an intention."""
    return {
        "people": [contact.name for contact in oncall.contacts.contacts],
        "me": unquote(request.cookies.get(WHO, "")),
        "promised": "looking into it",
    }


def done(
    deploys: Sequence[Deploy],
    acts: Sequence[tuple[int, Event]],
    history: Sequence[Transition],
) -> list[Change]:
    """Return deployments and what was done to incidents.

    Args:
        deploys: Newest first.
        acts: (incident, what a person did to it).
        history: Alerts' changes, newest first: what came after a deployment.
    """
    return [_deploy(deploy, history) for deploy in deploys] + [
        Change(
            event.at_ms,
            *_sign(event.kind),
            f"{event.author}: incident {number}",
            event.text[:160],
        )
        for number, event in acts
        if event.kind in _ACTS
    ]


def _sign(kind: str) -> tuple[str, str, str]:
    symbol, css = _ACTS[kind]
    return symbol, kind, css


def _deploy(deploy: Deploy, history: Sequence[Transition]) -> Change:
    """Return a deployment with the first alert that came within an hour of it."""
    by = (
        f" by {deploy.author}" if deploy.author else ", detected from running processes"
    )
    small = ""
    for change in history:  # newest first: the last that fits is the first failure
        gap = change.at_ms - deploy.at_ms
        began = change.state in {"pending", "firing"} and opens_incident(change.pairs)
        if began and 0 <= gap <= _NEAR_MS:
            small = f"{span(gap / 1000)} before {change.alert} began"
    return Change(deploy.at_ms, "⬆", "deploy", "accent", f"{deploy.version}{by}", small)
