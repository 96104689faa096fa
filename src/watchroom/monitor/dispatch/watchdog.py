"""The alert that always fires: while it arrives, rules are being evaluated."""

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
    """On-call's policy, except that Watchdog isn't repeated while rules hang.

    A repeat says that rules are evaluated, which is wrong while they hang. Other alerts
    continue to fire: a slow machine must not report them as resolved.

    Args:
        policy: Decides about every other alert: on-call.
        ages: When the rule groups were last evaluated.
        ahead: Seconds for which the store refuses samples after the clock was set back.
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
        """Return a group's policy; Watchdog's is quiet while rules aren't evaluated."""
        if all(("alertname", HEARTBEAT) in alert.labels for alert in alerts):
            reason = _stalled(self._ages(), self._ahead())
            if reason:
                _LOG.warning("heartbeat withheld: %s", reason)
                return Policy(quiet=True)
        return self._policy.policy_of(group, alerts, now_ms)

    def ended(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Pass on which alerts ended."""
        self._policy.ended(alerts, now_ms)


def _stalled(ages: Sequence[Age], ahead: float) -> str:
    """Return why rules see no new samples, or the empty string."""
    if ahead:
        return f"the clock was set back, and samples are refused for {ahead:.0f} s"
    for age in ages:
        if age.seconds > max(_INTERVALS * age.interval_seconds, _LEAST_SECONDS):
            return f"rule group {age.key.name} last ran {age.seconds:.0f} s ago"
    return ""
