"""What a template can hold beside Python's own str, int, float, bool, dict and list."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

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


class Record:
    """A struct: fields by name, and nothing else."""

    __slots__ = ("fields",)

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def __str__(self) -> str:
        return f"{{{' '.join(map(plain, self.fields.values()))}}}"


class KV(dict[str, str]):
    """Alertmanager's label sets: keys, and the methods of the set."""

    def method(self, name: str) -> Any:
        """Return what a method gives, or None when there is none of that name."""
        match name:
            case "SortedPairs":
                # The alert's name leads, as in Alertmanager.
                names = sorted(self, key=lambda n: (n != "alertname", n))
                return Pairs(Record(Name=n, Value=self[n]) for n in names)
            case "Names":
                return [pair.fields["Name"] for pair in self.method("SortedPairs")]
            case "Values":
                return [pair.fields["Value"] for pair in self.method("SortedPairs")]
            case _:
                return None


class Pairs(list[Record]):
    """Pairs in order, with their ``Names`` and ``Values``."""


class Alerts(list[Record]):
    """Alerts, with those that are ``Firing`` and those ``Resolved``."""


class Moment:
    """A time: ``Unix`` seconds and ``UnixMilli``."""

    __slots__ = ("at_ms",)

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def __str__(self) -> str:
        moment = dt.datetime.fromtimestamp(self.at_ms // 1000, dt.UTC)
        millis = f".{self.at_ms % 1000:03d}".rstrip("0") if self.at_ms % 1000 else ""
        return f"{moment:%Y-%m-%d %H:%M:%S}{millis} +0000 UTC"


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


def field(value: Any, name: str) -> Any:
    """Return a field, or what a method without arguments gives.

    Raises:
        KeyError: It has none of that name.
    """
    match value, name:
        case Record(), _:
            return value.fields[name]
        case KV(), _:
            found = value.method(name)
            return value.get(name, "") if found is None else found
        case dict(), _:
            return value.get(name, "")
        case ((list() | Moment()), _):
            return _method(value, name)
        case _:
            return _of_a_rule(value, name)


def _method(value: Any, name: str) -> Any:
    match value, name:
        case Alerts(), "Firing" | "Resolved":
            wanted = name.lower()
            return Alerts(one for one in value if one.fields["Status"] == wanted)
        case Pairs(), "Names" | "Values":
            return [one.fields[name[:-1]] for one in value]
        case Moment(), "Unix":
            return value.at_ms // 1000
        case Moment(), "UnixMilli":
            return value.at_ms
        case _:
            raise KeyError(name)


def _of_a_rule(value: Any, name: str) -> Any:
    match value, name:
        case Sample(), "Labels":
            return value.labels
        case ((Sample() | Context()), "Value"):
            return value.value
        case Context(), "Labels":
            return dict(value.labels)
        case Context(), "ExternalLabels":
            return dict(value.external_labels)
        case Context(), "ExternalURL":
            return value.external_url
        case _:
            raise KeyError(name)
