"""The active rule groups: their views, and when they were evaluated."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from watchroom.monitor.rules.views import Age

if TYPE_CHECKING:
    from collections.abc import Mapping

    from watchroom.monitor.rules.group import RuleGroup
    from watchroom.monitor.rules.views import AlertView, GroupKey, GroupView


class LoadedGroups:
    """The active rule groups, in file order; `RuleManager.load` replaces them.

    It depends on no other part, so that readers of rules can be built before the part
    that takes their alerts. Read from any thread.

    Attributes:
        groups: By key; replaced whole, never changed.
    """

    def __init__(self) -> None:
        self.groups: Mapping[GroupKey, RuleGroup] = {}

    def use(self, groups: Mapping[GroupKey, RuleGroup]) -> None:
        """Activate groups."""
        self.groups = groups

    def views(self) -> list[GroupView]:
        """Return all groups as /api/v1/rules shows them."""
        return [group.view for group in self.groups.values()]

    def ages(self) -> list[Age]:
        """Return how long ago each group was evaluated."""
        now = time.monotonic()
        return [
            Age(key, group.interval_ms / 1000, now - group.seen)
            for key, group in self.groups.items()
        ]

    def alerts(self) -> list[AlertView]:
        """Return all pending and firing alerts."""
        return [a for view in self.views() for rule in view.rules for a in rule.alerts]

    def exprs(self) -> dict[str, list[str]]:
        """Return alert name → the expressions of its rules."""
        exprs: dict[str, list[str]] = {}
        for view in self.views():
            for rule in view.rules:
                if rule.type == "alerting":
                    exprs.setdefault(rule.name, []).append(rule.query)
        return exprs
