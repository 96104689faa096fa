"""The alert that always fires: where it arrives, rules are known to be evaluated."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from watchroom.monitor.dispatch.policy import Policy
from watchroom.urgency import HEARTBEAT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from watchroom.monitor.alert import Alert
    from watchroom.monitor.dispatch.policy import GroupPolicy
    from watchroom.monitor.rules.views import Age
    from watchroom.promql.model import Labels

_LOG = logging.getLogger(__name__)

_INTERVALS = 4
_LEAST_SECONDS = 60.0


class WatchdogPolicy:
    """Another policy, but Watchdog is not repeated while rules see nothing new.

    A repeat says that the rules are alive, which is wrong while they hang. Other alerts
    go on: a slow machine must not say that they have ended.

    Args:
        policy: Of every other alert: on-call.
        ages: When the rule groups were evaluated.
        ahead: For how long the store refuses new samples, as the clock was set back.
    """

    def __init__(
        self,
        policy: GroupPolicy,
        ages: Callable[[], Sequence[Age]],
        ahead: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._ages = ages
        self._ahead = ahead

    def policy_of(self, group: Labels, alerts: Sequence[Alert], now_ms: int) -> Policy:
        """Return the policy of a group; of Watchdog's own, whether rules are alive."""
        if all(("alertname", HEARTBEAT) in alert.labels for alert in alerts):
            why = _blind(self._ages(), self._ahead())
            if why:
                _LOG.warning("no heartbeat: %s", why)
                return Policy(quiet=True)
        return self._policy.policy_of(group, alerts, now_ms)

    def ended(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Pass on which alerts ended."""
        self._policy.ended(alerts, now_ms)


def _blind(ages: Sequence[Age], ahead: float) -> str:
    """Return why nothing new could page now, or the empty string."""
    if ahead:
        return f"the clock was set back, and samples are refused for {ahead:.0f} s"
    for age in ages:
        if age.seconds > max(_INTERVALS * age.interval_seconds, _LEAST_SECONDS):
            return f"rule group {age.key.name} last ran {age.seconds:.0f} s ago"
    return ""
