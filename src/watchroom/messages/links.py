"""Links to where a project's logs and errors are kept, with times and ids filled in.

A template is a URL with placeholders in braces, such as
``https://logs.example.org/?from={from_ms}&to={to_ms}&q={route}``. Braces around
anything else stay as they are.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

# The window of time in the spellings that back ends want, then what is known besides.
TIMES = ("from", "to", "from_s", "to_s", "from_ms", "to_ms", "from_ns", "to_ns")
NAMES = (
    *("project", "environment", "release", "request_id", "trace_id"),
    *("alertname", "severity", "instance", "route", "method", "status"),
    *("name", "queue_name", "alias", "check"),
)
PLACEHOLDERS = (*TIMES, *NAMES)
_PLACEHOLDER = re.compile(r"\{([a-z_]{1,32})\}")
# People want to see what led up to it, and what came of it.
BEFORE_SECONDS = 900.0
AFTER_SECONDS = 300.0


def unknown(template: str) -> str:
    """Return the first placeholder that nothing fills, or an empty text."""
    for name in _PLACEHOLDER.findall(template):
        if name not in PLACEHOLDERS:
            return f"{{{name}}}"
    return ""


def fill(template: str, start: float, end: float, values: Mapping[str, str]) -> str:
    """Return the URL of a template; empty without a template.

    Args:
        template: As `LOGS_URL` and `SENTRY_URL` have it.
        start: Epoch seconds of the window's begin.
        end: Epoch seconds of the window's end.
        values: Values by placeholder; what is missing becomes an empty text. Each is
            quoted, so that no label's value can change where a link leads.
    """
    known = {**values, **_times(start, end)}
    return _PLACEHOLDER.sub(
        lambda name: quote(known.get(name[1], ""), safe=""), template
    )


def window(begun: float, ended: float | None, now: float) -> tuple[float, float]:
    """Return the window of time around something that began at a moment.

    Args:
        begun: Epoch seconds.
        ended: Epoch seconds, or None while it lasts.
        now: Epoch seconds.
    """
    end = now if ended is None else min(now, ended + AFTER_SECONDS)
    return begun - BEFORE_SECONDS, max(begun, end)


def _times(start: float, end: float) -> dict[str, str]:
    parameters = {}
    for name, moment in (("from", start), ("to", end)):
        parameters[name] = datetime.fromtimestamp(moment, UTC).strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )
        parameters[f"{name}_s"] = str(int(moment))
        parameters[f"{name}_ms"] = str(int(moment * 1e3))
        parameters[f"{name}_ns"] = f"{int(moment * 1e3)}000000"
    return parameters
