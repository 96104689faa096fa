"""A recording rule: an expression's result under another name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from watchroom.monitor.rules.alerting import RuleError
from watchroom.promql.model import Matcher, labels_of
from watchroom.promql.syntax import Selector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from watchroom.promql.model import Labels


class RecordRule:
    """One recording rule."""

    def __init__(self, name: str, expr: str, labels: Mapping[str, str]) -> None:
        self.name = name
        self.expr = expr
        self.labels = tuple(sorted(labels.items()))
        self.series: set[Labels] = set()
        self.unknown = False  # the last process may have left series without an end

    def step(
        self, result: Sequence[tuple[Labels, float]], limit: int = 0
    ) -> list[tuple[Labels, float]]:
        """Return `result` under the rule's name and labels.

        Raises:
            RuleError: Two series have equal labels then, or `limit` is passed.
        """
        named = {"__name__": self.name, **dict(self.labels)}
        samples: dict[Labels, float] = {}
        for series, value in result:
            labels = labels_of(dict(series) | named)
            if labels in samples:
                raise RuleError(
                    "two series have the same labels once the rule's labels are "
                    f"applied: {dict(labels)}"
                )
            samples[labels] = value
        if limit and len(samples) > limit:
            raise RuleError(f"exceeded limit of {limit} with {len(samples)} series")
        return list(samples.items())

    @property
    def selector(self) -> Selector:
        """What selects the series of this rule."""
        pairs = (("__name__", self.name), *self.labels)
        return Selector(tuple(Matcher(name, "=", value) for name, value in pairs))
