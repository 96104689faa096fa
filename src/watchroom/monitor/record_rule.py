"""A recording rule: an expression's result under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.monitor.alert_rule import RuleError
from watchroom.promql.model import labels_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.promql.model import Labels


class RecordRule:
    """One recording rule."""

    def __init__(self, name: str, expr: str, labels: Mapping[str, str]) -> None:
        self.name = name
        self.expr = expr
        self.labels = labels_of(dict(labels))
        self.series: set[Labels] = set()

    def step(
        self, result: Sequence[tuple[Labels, float]], limit: int = 0
    ) -> list[tuple[Labels, float]]:
        """Return `result` under the rule's name and labels.

        Raises:
            RuleError: Two series have equal labels then, or `limit` is passed.
        """
        named = {"__name__": self.name, **dict(self.labels)}
        found: dict[Labels, float] = {}
        for series, value in result:
            labels = labels_of(dict(series) | named)
            if labels in found:
                raise RuleError(
                    "two series have the same labels once the rule's labels are "
                    f"applied: {dict(labels)}"
                )
            found[labels] = value
        if limit and len(found) > limit:
            raise RuleError(f"exceeded limit of {limit} with {len(found)} series")
        return list(found.items())
