"""What an alert's labels say: whether it is real, opens an incident, how urgent it is.

The monitor, the proofs and the build ask here, so that they cannot answer differently:

| severity       | real | opens an incident, first page red | priority (no label) |
|----------------|------|-----------------------------------|---------------------|
| critical, page | yes  | yes                               | P1: pages           |
| error, warning | yes  | yes                               | P2                  |
| others, or no  | yes  | yes                               | P3                  |
| info           | yes  | no                                |                     |
| none           | no   | no                                |                     |

A label `priority` of P1, P2 or P3 wins over the severity. A drill is never real.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DRILL_JOB = "drill-"
"""How the job of every drill begins."""

DRILLS = f'job=~"{DRILL_JOB}.+"'
"""The matcher of drills."""

NO_DRILLS = f'job!~"{DRILL_JOB}.+"'
"""The matcher that leaves drills out."""

FOR_PEOPLE = f'severity!="none",{NO_DRILLS}'
"""The matchers of alerts that are no drills and for people (`is_real`)."""

HEARTBEAT = "Watchdog"
"""The alert that always fires: when it stops arriving, the monitor has died."""

PRIORITIES = ("P1", "P2", "P3")
"""The most urgent first; a P1 pages."""

_PRIORITY_OF = {"critical": "P1", "page": "P1", "error": "P2", "warning": "P2"}


def is_drill(labels: Mapping[str, str]) -> bool:
    """Return whether an alert or a series is a drill's."""
    return labels.get("job", "").startswith(DRILL_JOB)


def on_purpose(labels: Mapping[str, str]) -> bool:
    """Return whether an alert fires for machines only: the heartbeat, inhibitors."""
    return labels.get("severity") == "none" or labels.get("alertname") == HEARTBEAT


def is_real(labels: Mapping[str, str]) -> bool:
    """Return whether an alert is about the app: no drill, and not on purpose."""
    return not is_drill(labels) and not on_purpose(labels)


def opens_incident(labels: Mapping[str, str]) -> bool:
    """Return whether something is wrong: an incident, and red on the first page."""
    return is_real(labels) and labels.get("severity") != "info"


def priority_of(labels: Mapping[str, str]) -> str:
    """Return an alert's priority: its label, else by its severity."""
    priority = labels.get("priority", "")
    if priority in PRIORITIES:
        return priority
    return _PRIORITY_OF.get(labels.get("severity", ""), "P3")


def pages(labels: Mapping[str, str]) -> bool:
    """Return whether an alert wakes people."""
    return opens_incident(labels) and priority_of(labels) == "P1"
