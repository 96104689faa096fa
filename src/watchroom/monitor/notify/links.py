"""Links from a message to logs and errors, times and labels filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.messages import links

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchroom.formats.manifest import Manifest
    from watchroom.monitor.dispatch.notification import Notification
    from watchroom.monitor.notify.integration import Links


def outside_links(
    notification: Notification, manifest: Manifest | None, now: float
) -> Links:
    """Return text and address of the project's logs and errors around an incident.

    Args:
        notification: What is sent.
        manifest: The build's; it has the link templates.
        now: Epoch seconds.
    """
    if manifest is None or not notification.alerts:
        return ()
    begun = min(alert.starts_at_ms for alert in notification.alerts) / 1000
    start, end = links.window(begun, None, now)
    shared = set(notification.alerts[0].labels)
    shared = shared.intersection(*(alert.labels for alert in notification.alerts))
    return project_links(manifest, start, end, dict(shared))


def project_links(
    manifest: Manifest, start: float, end: float, labels: Mapping[str, str]
) -> Links:
    """Return text and address of the project's logs and errors in a time (seconds)."""
    own = {"project": manifest.project, "environment": manifest.environment}
    templates = (("Logs", manifest.logs_url), ("Errors", manifest.sentry_url))
    return tuple(
        (text, links.fill(template, start, end, {**labels, **own}))
        for text, template in templates
        if template.startswith(("https://", "http://"))
    )
