"""The pages at the top of each page: an entry shows when the monitor has its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Collection


class NavItem(NamedTuple):
    """One entry: its page's name in templates, its title, its path from the root."""

    page: str
    title: str
    path: str


# In the order in which they are needed. A page adds itself by adding its route.
ENTRIES = (
    NavItem("now", "Now", ""),
    NavItem("dashboards", "Dashboards", "dashboards/"),
    NavItem("alerts", "Alerts", "alerts"),
    NavItem("incidents", "Incidents", "incidents/"),
    NavItem("silences", "Silences", "silences"),
    NavItem("runbooks", "Runbooks", "runbooks/"),
    NavItem("drills", "Drills", "drills"),
    NavItem("checklist", "Checklist", "checklist"),
)
PATHS: web.AppKey[Collection[str]] = web.AppKey("paths")


def paths_of(app: web.Application) -> Collection[str]:
    """Return the paths that an application answers."""
    return frozenset(resource.canonical for resource in app.router.resources())


def entries(paths: Collection[str]) -> list[NavItem]:
    """Return the entries whose pages are among `paths`."""
    return [entry for entry in ENTRIES if f"/{entry.path}" in paths]
