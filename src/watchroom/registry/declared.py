"""A project's own metrics, as its vitals.py declares them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from watchroom.catalogue.metrics import Metric
from watchroom.errors import ConfigError
from watchroom.registry.guard import guarded
from watchroom.registry.process import PROCESS, add
from watchroom.runtime.slots import GRAIN
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.runtime.slots import Cell

F = TypeVar("F", bound="Callable[..., Any]")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_RESERVED = ("http_", "db_", "cache_", "watchroom_")


class Counter:
    """A number that only rises, summed over all processes.

    Example:
        >>> orders = watchroom.counter("orders_total", labels=("kind",))
        >>> orders.inc(kind="web")
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric

    def inc(self, amount: float = 1, **labels: object) -> None:
        """Add `amount` (≥ 0, kept to a millionth) to the series of these labels.

        Never raises: wrong labels and negative amounts are counted in
        ``watchroom_instrument_errors_total{instrument="counter"}``, the first one
        logged. Does nothing in a process that is not counted, such as a test run.
        """
        _inc(self.metric, amount, labels)


class Gauge(NamedTuple):
    """A function that the exporter calls, and how often.

    Attributes:
        name: The metric's name.
        every_seconds: Between two calls.
        labels: Label names; with labels the function returns a dict from a tuple of
            label values to a number, without them a number.
        help: One line for people.
        function: What to call.
    """

    name: str
    every_seconds: float
    labels: tuple[str, ...]
    help: str
    function: Callable[[], Any]


class _Declared:
    """What vitals.py files declared; importing them again restores it."""

    def __init__(self) -> None:
        self.counters: dict[str, Counter] = {}
        self.gauges: dict[str, Gauge] = {}

    def check(self, name: str, labels: tuple[str, ...], where: str) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"{name!r} isn't a valid metric name",
                field=where,
                hint="write orders_total",
            )
        if name.startswith(_RESERVED):
            raise ConfigError(
                f"{name!r} begins like watchroom's own metrics",
                field=where,
                hint="begin with the name of your app",
            )
        if isinstance(labels, str) or not all(map(_NAME.fullmatch, labels)):
            raise ConfigError(
                f"the labels of {name!r} are not label names",
                field=where,
                hint='write labels=("kind",)',
            )


_DECLARED = _Declared()


def counter(name: str, labels: tuple[str, ...] = (), help: str = "") -> Counter:  # noqa: A002 - the field's own word
    """Declare a counter; the same declaration twice is the same counter.

    Args:
        name: Ends in ``_total``.
        labels: Label names, each with few values: never a user, a path or an id.
        help: One line for people.

    Raises:
        ConfigError: The name or a label is not one, or the name is taken.
    """
    _DECLARED.check(name, labels, "counter")
    if not name.endswith("_total"):
        raise ConfigError(
            f"the counter {name!r} does not end in _total",
            field="counter",
            hint=f"write {name}_total",
        )
    metric = Metric(name, "counter", help, tuple(labels), open_labels=tuple(labels))
    previous = _DECLARED.counters.get(name)
    if previous is not None and previous.metric == metric:
        return previous
    if previous is not None or name in _DECLARED.gauges:
        raise ConfigError(f"{name!r} is declared twice, differently", field="counter")
    declared = _DECLARED.counters[name] = Counter(metric)
    if not labels:
        # A counter's first rise is an increase only after a 0.
        PROCESS.seed(lambda: _zero(metric))
    return declared


def gauge(
    name: str,
    every: str = "1m",
    labels: tuple[str, ...] = (),
    help: str = "",  # noqa: A002 - the field's own word
) -> Callable[[F], F]:
    """Declare a gauge whose value the exporter asks of the decorated function.

    Args:
        name: The metric's name.
        every: How often to ask, as a duration such as ``1m``.
        labels: Label names; see `Gauge`.
        help: One line for people; the function's docstring when it is empty.

    Raises:
        ConfigError: The name, a label or the duration is wrong, or the name is taken.
    """
    _DECLARED.check(name, labels, "gauge")
    seconds = parse_duration(every)

    def declare(function: F) -> F:
        description = help or (function.__doc__ or "").strip().partition("\n")[0]
        declared = Gauge(name, max(1.0, seconds), tuple(labels), description, function)
        previous = _DECLARED.gauges.get(name)
        again = previous is not None and previous[:4] == declared[:4]
        if name in _DECLARED.counters or (previous is not None and not again):
            raise ConfigError(f"{name!r} is declared twice, differently", field="gauge")
        _DECLARED.gauges[name] = declared
        return function

    return declare


def gauges() -> tuple[Gauge, ...]:
    """Return the gauges declared so far, for the exporter to run."""
    return tuple(_DECLARED.gauges.values())


def counters() -> tuple[Metric, ...]:
    """Return the counters declared so far, for selectors to be checked against."""
    return tuple(declared.metric for declared in _DECLARED.counters.values())


@guarded("counter")
def _inc(metric: Metric, amount: float, labels: dict[str, object]) -> None:
    if not PROCESS.on:
        return
    if amount < 0:
        raise ValueError(f"{metric.name} cannot fall")
    if len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} takes the labels {metric.labels}")
    values = tuple([str(labels[label]) for label in metric.labels])
    key = (metric.name, values)
    cell: Cell | None = PROCESS.cells.get(key)
    if cell is None:
        cell = PROCESS.cell(metric, values)
        PROCESS.remember(key, cell)
    add(*cell, int(amount * GRAIN) / GRAIN)


@guarded("counter")
def _zero(metric: Metric) -> None:
    PROCESS.cell(metric, ())
