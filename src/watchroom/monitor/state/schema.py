"""The tables of state.db, and the step that brings an older file to them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from watchroom.monitor.files import sql

if TYPE_CHECKING:
    import sqlite3

FORMAT = 5
OLDEST = 4
"""The format of watchroom 0.1; what was written before its release is refused."""
_NAMES_FROM_4 = {
    "failed_ms": "first_failure_ms",
    "unanswered_ms": "unacknowledged_ms",
    "first": "first_contact",
    "titled": "title_from_page",
    "called": "added_receivers",
    "passed": "informed_pagers",
    "dropped": "events_dropped",
    "by": "opened_by",
    "pages": "own_alerts",
    "before": "earlier_outages",
    "gone": "series_missing",
}


def script(db: sqlite3.Connection, version: int) -> str:
    """Return what brings a file of format `version` to `FORMAT`.

    Args:
        db: Gets the functions that the script calls.
        version: 0 for a new file.
    """
    if version == 0:
        return sql(__package__, "schema.sql")
    db.create_function("renamed_from_4", 1, _renamed_from_4, deterministic=True)
    return sql(__package__, "from_4.sql") if version < FORMAT else ""


def _renamed_from_4(body: str) -> str:
    """Return an incident as this version writes it."""
    incident = _renamed(json.loads(body))
    alerts, outages = incident.get("alerts", {}), incident.get("earlier_outages", [])
    # By field, not by every key in the text: labels may be named as fields are.
    incident["alerts"] = {name: _renamed(alert) for name, alert in alerts.items()}
    incident["earlier_outages"] = [_renamed(outage) for outage in outages]
    return json.dumps(incident, ensure_ascii=False, separators=(",", ":"))


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    return {_NAMES_FROM_4.get(name, name): value for name, value in fields.items()}
