"""The alert that always fires: whoever waits for it hears that the rules are alive."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watchroom.monitor.oncall.paging import Standing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchroom.monitor.alerts import Alert
    from watchroom.monitor.dispatch import StandingOf
    from watchroom.monitor.rule_views import Age
    from watchroom.promql.model import Labels

_LOG = logging.getLogger(__name__)

HEARTBEAT = "Watchdog"
_INTERVALS = 4
_LEAST_SECONDS = 60.0


def watchful(standing: StandingOf, ages: Callable[[], Sequence[Age]]) -> StandingOf:
    """Return `standing`, but Watchdog is not said again while a group stands still.

    Routing repeats what it was told last, which would call rules alive that hang. Other
    alerts go on: a machine that is slow must not say that they are over.
    """

    def stands(group: Labels, alerts: Sequence[Alert], now_ms: int) -> Standing:
        if any(("alertname", HEARTBEAT) not in alert.labels for alert in alerts):
            return standing(group, alerts, now_ms)
        for age in ages():
            if age.seconds > max(_INTERVALS * age.interval_seconds, _LEAST_SECONDS):
                _LOG.warning(
                    "no heartbeat: the rules of %s stand still for %.0f s",
                    age.key.name,
                    age.seconds,
                )
                return Standing(quiet=True)
        return standing(group, alerts, now_ms)

    return stands
