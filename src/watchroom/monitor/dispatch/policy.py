"""What on-call adds to a route: more receivers, no repeats once acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.formats.routes import Node
    from watchroom.monitor.alert import Alert
    from watchroom.promql.model import Labels


class Policy(NamedTuple):
    """What applies to the notifications of one group, besides its route.

    Attributes:
        quiet: The incident is acknowledged: nothing is repeated.
        repeat_ms: Repeat this often (ms), or None: the route's repeat_interval.
        repeat_to: Repeat to these receivers; None is all of the group.
        receivers: Notify these as well.
    """

    quiet: bool = False
    repeat_ms: int | None = None
    repeat_to: frozenset[str] | None = None
    receivers: tuple[str, ...] = ()

    def repeat_before_ms(self, receiver: str, route: Node, now_ms: int) -> int:
        """Return the moment (ms): a notification accepted before it is repeated."""
        if self.quiet:
            return 0
        interval = route.repeat_interval_ms
        if self.repeat_ms is not None and (
            self.repeat_to is None or receiver in self.repeat_to
        ):
            # A group is flushed in steps: repeat at the nearest flush, not the next.
            interval = min(interval, self.repeat_ms - route.group_interval_ms // 2)
        return now_ms - interval


ROUTE_ONLY = Policy()


class GroupPolicy(Protocol):
    """What on-call decides about the groups of alerts; no method raises.

    Both are called under routing's lock, so that routing and on-call see each alert
    end at the same time. On-call may call routing there; `monitor.routing.routing`
    gives the order of locks.
    """

    def policy_of(self, group: Labels, alerts: Sequence[Alert], now_ms: int) -> Policy:
        """Return what applies to a group besides its route.

        Args:
            group: The labels of a group that is flushed.
            alerts: Its alerts, muted ones left out.
            now_ms: Now.
        """
        ...

    def ended(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take the resolved alerts of a flushed group, muted or not.

        An alert that timed out is reported as resolved only here.
        """


class RouteOnly:
    """No policy besides the route: a monitor without on-call."""

    def policy_of(self, group: Labels, alerts: Sequence[Alert], now_ms: int) -> Policy:
        """Return the policy that adds nothing to the route."""
        del group, alerts, now_ms
        return ROUTE_ONLY

    def ended(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Ignore resolved alerts."""
