"""What a template can hold beside Python's own str, int, float, bool, dict and list."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import WatchroomError
from watchroom.monitor.gotext import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ExpandError(WatchroomError):
    """A template failed while it was being expanded."""


class Sample:
    """One element of a query's result: fields ``Labels`` and ``Value``."""

    __slots__ = ("labels", "value")

    def __init__(self, labels: dict[str, str], value: float) -> None:
        self.labels = labels
        self.value = value

    def __str__(self) -> str:
        return f"{{{plain(self.labels)} {plain(self.value)}}}"


class Context(NamedTuple):
    """What an alert's templates are expanded with: fields of the dot.

    Attributes:
        labels: Of the series, with ``__name__`` where there is one.
        value: Of the series.
        external_labels: Of the configuration.
        external_url: Of this monitor.
        query: Answers an instant query at the moment of the evaluation.

    `query` raises QueryError.
    """

    labels: Mapping[str, str]
    value: float
    external_labels: Mapping[str, str]
    external_url: str
    query: Callable[[str], list[Sample]]
