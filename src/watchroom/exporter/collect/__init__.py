"""What the exporter finds out by asking: one module a subsystem, one child a module.

A subsystem's module has one function, ``collectors(broken)``, which runs in the child
of its own that `watchroom.exporter.collect.supervisor` keeps: a server that hangs costs
that child and delays nothing else. ``broken`` takes a name and a sentence, for what is
wrong although the rest can be asked. Which modules get a child is decided in
`watchroom.exporter.collect.groups`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from watchroom.catalogue.metrics import Metric

LIMIT_SECONDS = 10.0


class Collector(NamedTuple):
    """One question, asked again and again, and the metrics that its answer holds.

    Attributes:
        name: Of the question: the label of ``watchroom_gauge_errors_total{gauge}``.
        every_seconds: Between two questions.
        metrics: What it may answer.
        function: Returns a value by the metric's name: a number, or for a metric with
            labels a dict from a tuple of label values (a text, where there is one
            label) to a number. What it leaves out has no series.
        limit_seconds: How long an answer may take; the child is killed after that.
        hung: The value while it exceeds its limit, as `function` would return it.
    """

    name: str
    every_seconds: float
    metrics: tuple[Metric, ...]
    function: Callable[[], Mapping[str, Any]]
    limit_seconds: float = LIMIT_SECONDS
    hung: Mapping[str, Any] | None = None
