"""The JSON of PagerDuty's Events API, version 2, within its limits."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST_SUMMARY = 1024
LARGEST_EVENT = 512_000
"""Bytes of a whole event."""

SEVERITIES = ("critical", "error", "warning", "info")
Action = Literal["trigger", "acknowledge", "resolve"]


def dedup_key(group_key: str) -> str:
    """Return the key of the incident of a group: the one that Alertmanager uses.

    Equal on both, a hand-over neither doubles pages nor leaves incidents open.
    """
    return hashlib.sha256(group_key.encode()).hexdigest()


def event(
    *,
    action: Action,
    key: str,
    summary: str = "",
    source: str = "",
    severity: str = "error",
    client: str = "",
    client_url: str = "",
    details: Mapping[str, str] | None = None,
    links: Iterable[tuple[str, str]] = (),
    class_: str = "",
    component: str = "",
    group: str = "",
) -> dict[str, Any]:
    """Return an event without its routing key, which is the sender's secret.

    Args:
        action: What to do with the incident.
        key: Which incident (`dedup_key`).
        summary: What it is about; cut at 1024 characters.
        source: Who noticed.
        severity: One of `SEVERITIES`; another becomes ``error``.
        client: What sent it.
        client_url: Where that is.
        details: Shown as a table; left out when the event would be too large.
        links: Text and address of each.
        class_: What kind of event: the alert's name.
        component: What is affected.
        group: What that belongs to.
    """
    message: dict[str, Any] = {"event_action": action, "dedup_key": key}
    if action != "trigger":
        return message
    if len(summary) > LONGEST_SUMMARY:
        summary = summary[: LONGEST_SUMMARY - 1] + "…"
    body: dict[str, Any] = {
        "summary": summary or "alert without a summary",
        "source": source or "watchroom",
        "severity": severity if severity in SEVERITIES else "error",
    }
    optional = {"class": class_, "component": component, "group": group}
    body |= {name: value for name, value in optional.items() if value}
    if client:
        message["client"] = client
        message["client_url"] = client_url
    entries = [{"href": href, "text": text} for text, href in links if href]
    if entries:
        message["links"] = entries
    message["payload"] = body
    if details:
        body["custom_details"] = dict(details)
        if len(json.dumps(message)) > LARGEST_EVENT - 1024:  # room for the key
            body["custom_details"] = {"error": "the details were too large to send"}
    return message
