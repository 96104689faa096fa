"""The alert that always fires: whoever waits for it hears that the rules are alive."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watchroom.monitor.dispatch.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchroom.monitor.alert import Alert
    from watchroom.monitor.dispatch.policy import PolicyOf
    from watchroom.monitor.rules.views import Age
    from watchroom.promql.model import Labels

_LOG = logging.getLogger(__name__)

HEARTBEAT = "Watchdog"
_INTERVALS = 4
_LEAST_SECONDS = 60.0


def watchful(
    standing: PolicyOf,
    ages: Callable[[], Sequence[Age]],
    ahead: Callable[[], float],
) -> PolicyOf:
    """Return `standing`, but Watchdog is not said again while rules see nothing new.

    Routing repeats what it was told last, which would call rules alive that hang. Other
    alerts go on: a machine that is slow must not say that they are over.

    Args:
        standing: What on-call says.
        ages: When the rule groups were evaluated.
        ahead: For how long the store refuses new samples, as the clock was set back.
    """

    def stands(group: Labels, alerts: Sequence[Alert], now_ms: int) -> Policy:
        if any(("alertname", HEARTBEAT) not in alert.labels for alert in alerts):
            return standing(group, alerts, now_ms)
        why = _blind(ages(), ahead())
        if why:
            _LOG.warning("no heartbeat: %s", why)
            return Policy(quiet=True)
        return standing(group, alerts, now_ms)

    return stands


def _blind(ages: Sequence[Age], ahead: float) -> str:
    """Return why nothing new could page now, or the empty string."""
    if ahead:
        return f"the clock was set back, and samples are refused for {ahead:.0f} s"
    for age in ages:
        if age.seconds > max(_INTERVALS * age.interval_seconds, _LEAST_SECONDS):
            return f"the rules of {age.key.name} stand still for {age.seconds:.0f} s"
    return ""
