"""The guide's seven steps of an incident, each with its links filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.monitor.console import runbooks
from watchroom.monitor.notify.links import project_links
from watchroom.monitor.oncall import timeline
from watchroom.units import span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from markupsafe import Markup

    from watchroom.formats.contacts import Contact, Contacts
    from watchroom.formats.manifest import Manifest
    from watchroom.monitor.oncall.incident import Incident
    from watchroom.monitor.oncall.records import Deploy

_BEFORE_MS = 15 * 60_000
_AFTER_MS = 5 * 60_000
MEANT = {
    "P1": "customers notice it",
    "P2": "the service is degraded",
    "P3": "minor",
}


class NextLink(NamedTuple):
    """A link; `outside` the monitor, else relative to its root."""

    text: str
    url: str
    outside: bool = False


class Steps(NamedTuple):
    """What the seven steps need.

    Attributes:
        open_: Step 1: dashboard, logs, errors, runbooks.
        meaning: Step 2: what the priority means.
        called: Step 3: who was or will be paged, in order.
        others: Step 3 and 6: the other contacts.
        releases: Step 4.
        mitigations: Step 5.
        sentence: Step 6: what to tell customers, to be copied.
        times: Step 7: how long each step took, in words.
    """

    open_: Sequence[NextLink]
    meaning: str
    called: Sequence[Contact]
    others: Sequence[Contact]
    releases: Sequence[tuple[Deploy, str]]
    mitigations: Sequence[tuple[str, Markup]]
    sentence: str
    times: Sequence[tuple[str, str]]


def window(incident: Incident, now_ms: int) -> tuple[int, int]:
    """Return the time window of an incident in ms, with what led up to it."""
    end = incident.resolved_ms
    return incident.first_ms - _BEFORE_MS, (
        now_ms if end is None else min(now_ms, end + _AFTER_MS)
    )


def steps(
    incident: Incident,
    *,
    root: Path,
    manifest: Manifest | None,
    contacts: Contacts,
    releases: Sequence[Deploy],
    dashboards: Sequence[str],
    now_ms: int,
) -> Steps:
    """Return the steps of an incident.

    Args:
        incident: The incident.
        root: The directory of built files.
        manifest: Of these files; names the project and where logs and errors are.
        contacts: Who is on call.
        releases: Deployments near it, newest first.
        dashboards: The dashboards that the monitor draws, by uid.
        now_ms: Now.
    """
    known, firing = runbooks.names(root), {alert.name for alert in incident.firing}
    books = [name for name in incident.names if name in known]
    books.sort(key=lambda name: name not in firing)  # what fires comes first
    order = contacts.order()
    called = order[:2] if incident.priority == "P1" else []
    return Steps(
        open_=_links(incident, manifest, books, dashboards, now_ms),
        meaning=MEANT.get(incident.priority, ""),
        called=called,
        others=[person for person in contacts.contacts if person not in called],
        releases=[
            (deploy, timeline.gap(deploy.at_ms, incident.first_failure_ms))
            for deploy in releases
        ],
        mitigations=_mitigations(root, books),
        sentence=_sentence(incident, manifest),
        times=_times(incident),
    )


def _mitigations(root: Path, books: Sequence[str]) -> list[tuple[str, Markup]]:
    """Return what the runbooks say to do, each step once."""
    texts = {name: runbooks.section(root, name, "Mitigation") for name in books}
    return [
        (name, runbooks.render(text)) for name, text in runbooks.distinct(texts).items()
    ]


def _links(
    incident: Incident,
    manifest: Manifest | None,
    books: Sequence[str],
    dashboards: Sequence[str],
    now_ms: int,
) -> list[NextLink]:
    start, end = window(incident, now_ms)
    until = str(end) if incident.resolved_ms else "now"
    shown = [
        NextLink(title, f"dashboards/{uid}?from={start}&to={until}")
        for uid, title in _TITLES.items()
        if uid in dashboards
    ]
    if manifest is not None:
        alerts = incident.firing or list(incident.alerts.values())
        labels = alerts[0].labels if alerts else {}
        outside = project_links(manifest, start / 1000, end / 1000, labels)
        shown += [NextLink(text, url, True) for text, url in outside]
    shown += [NextLink(f"Runbook {name}", f"runbooks/{name}") for name in books]
    return shown


_TITLES = {"watchroom-charts": "Dashboard", "watchroom-overview": "Overview"}


def _sentence(incident: Incident, manifest: Manifest | None) -> str:
    project = manifest.project if manifest and manifest.project else "our service"
    if not incident.open:
        return f"The problem with {project} is resolved. We're investigating the cause."
    if incident.state == "mitigated":
        return f"{project} is working again. We're still fixing the cause."
    return f"We're investigating a problem with {project}. Next update in 30 minutes."


def _times(incident: Incident) -> list[tuple[str, str]]:
    """Return the time to each state since the first failure of the last outage."""
    first = incident.first_failure_ms
    moments = (
        ("detected", incident.detected_ms),
        ("acknowledged", incident.acknowledged_ms),
        ("mitigated", incident.mitigated_ms),
        ("resolved", incident.resolved_ms),
        ("reviewed", incident.reviewed_ms),
    )
    return [(name, span((at - first) / 1000)) for name, at in moments if at is not None]
