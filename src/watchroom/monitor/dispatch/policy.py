"""What on-call adds to a route: more receivers, silence while somebody is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from watchroom.formats.routes import Node
    from watchroom.monitor.alert import Alert
    from watchroom.promql.model import Labels


class Policy(NamedTuple):
    """What holds for the messages of one group, besides its route.

    Attributes:
        quiet: Somebody is on it: nothing is said again.
        repeat_ms: Say it again this often, or None: as the route says.
        repeat_to: To these receivers; None is all of the group.
        receivers: Tell these as well.
    """

    quiet: bool = False
    repeat_ms: int | None = None
    repeat_to: frozenset[str] | None = None
    receivers: tuple[str, ...] = ()

    def repeat_before_ms(self, receiver: str, route: Node, now_ms: int) -> int:
        """Return the moment before which what was said is said again."""
        if self.quiet:
            return 0
        often = route.repeat_interval_ms
        if self.repeat_ms is not None and (
            self.repeat_to is None or receiver in self.repeat_to
        ):
            # The group's timer rings in steps: the nearest ring, not the next one.
            often = min(often, self.repeat_ms - route.group_interval_ms // 2)
        return now_ms - often


ROUTE_ONLY = Policy()


class GroupPolicy(Protocol):
    """What on-call decides about the groups of alerts; no method raises.

    Both are called under routing's lock, so that no alert ends between what routing
    knows of it and what on-call hears. On-call may ask routing there, see
    `monitor.routing.routing` for the order of locks.
    """

    def policy_of(self, group: Labels, alerts: Sequence[Alert], now_ms: int) -> Policy:
        """Return what holds besides the route.

        Args:
            group: The labels of a group whose timer rang.
            alerts: Its alerts, muted ones left out.
            now_ms: Now.
        """
        ...

    def ended(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Take alerts of a group that rang and have ended, muted or not.

        Nobody else sends the end of one that timed out.
        """


class RouteOnly:
    """Nothing holds besides the route: a monitor without on-call."""

    def policy_of(self, group: Labels, alerts: Sequence[Alert], now_ms: int) -> Policy:
        """Return that nothing holds besides the route."""
        del group, alerts, now_ms
        return ROUTE_ONLY

    def ended(self, alerts: Sequence[Alert], now_ms: int) -> None:
        """Need to know nothing of ends."""
