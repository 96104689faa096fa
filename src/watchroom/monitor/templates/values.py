"""What a template can hold beside Python's own str, int, float, bool, dict and list."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, NamedTuple

from watchroom.errors import WatchroomError
from watchroom.formats.gotext import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class ExpandError(WatchroomError):
    """A template failed while it was being expanded."""


class Sample(NamedTuple):
    """One element of a query's result: fields ``Labels`` and ``Value``."""

    labels: dict[str, str]
    value: float

    def __str__(self) -> str:
        return f"{{{plain(self.labels)} {plain(self.value)}}}"


class Struct:
    """A struct: fields by name, and nothing else."""

    __slots__ = ("fields",)

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def __str__(self) -> str:
        return f"{{{' '.join(map(plain, self.fields.values()))}}}"


class KV(dict[str, str]):
    """Alertmanager's label sets: keys, and the methods of the set."""

    def method(self, name: str) -> Any:
        """Return what a method gives, or None when there is no such method."""
        match name:
            case "SortedPairs":
                # The alert's name leads, as in Alertmanager.
                names = sorted(self, key=lambda n: (n != "alertname", n))
                return Pairs(Struct(Name=n, Value=self[n]) for n in names)
            case "Names":
                return [pair.fields["Name"] for pair in self.method("SortedPairs")]
            case "Values":
                return [pair.fields["Value"] for pair in self.method("SortedPairs")]
            case _:
                return None


class Pairs(list[Struct]):
    """Pairs in order, with their ``Names`` and ``Values``."""


class Alerts(list[Struct]):
    """Alerts, with those that are ``Firing`` and those ``Resolved``."""


class Time:
    """A time in UTC, with those of Go's methods that take nothing."""

    __slots__ = ("at_ms",)

    def __init__(self, at_ms: int) -> None:
        self.at_ms = at_ms

    def __str__(self) -> str:
        millis = f".{self.at_ms % 1000:03d}".rstrip("0") if self.at_ms % 1000 else ""
        return f"{self._moment():%Y-%m-%d %H:%M:%S}{millis} +0000 UTC"

    def _moment(self) -> dt.datetime:
        epoch = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        return epoch + dt.timedelta(seconds=self.at_ms // 1000)

    def method(self, name: str) -> Any:
        """Return what a method gives.

        Raises:
            KeyError: There is no such method.
        """
        if name in _WRITTEN:  # not in the language of this machine
            moment = self._moment()
            index = moment.month - 1 if name == "Month" else moment.weekday()
            return _WRITTEN[name].split()[index]
        return _COUNTED[name](self._moment(), self.at_ms)


_WRITTEN = {
    "Month": "January February March April May June July August September October "
    "November December",
    "Weekday": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
}
_COUNTED: Mapping[str, Callable[[dt.datetime, int], Any]] = {
    "Year": lambda moment, _: moment.year,
    "Day": lambda moment, _: moment.day,
    "Hour": lambda moment, _: moment.hour,
    "Minute": lambda moment, _: moment.minute,
    "Second": lambda moment, _: moment.second,
    "Nanosecond": lambda _, at_ms: at_ms % 1000 * 1_000_000,
    "YearDay": lambda moment, _: moment.timetuple().tm_yday,
    "Unix": lambda _, at_ms: at_ms // 1000,
    "UnixMilli": lambda _, at_ms: at_ms,
    "UnixNano": lambda _, at_ms: at_ms * 1_000_000,
    "UTC": lambda _, at_ms: Time(at_ms),
    "String": lambda _, at_ms: str(Time(at_ms)),
}


class Duration:
    """A duration in nanoseconds, written as Go does: ``1h0m0.5s``."""

    __slots__ = ("nanoseconds",)

    def __init__(self, nanoseconds: int) -> None:
        self.nanoseconds = nanoseconds

    def __str__(self) -> str:
        size = abs(self.nanoseconds)
        sign = "-" if self.nanoseconds < 0 else ""
        if size < 1_000_000_000:
            for unit, each in (("ms", 1_000_000), ("µs", 1000), ("ns", 1)):
                if size >= each:
                    return f"{sign}{_decimal(size, each)}{unit}"
            return "0s"
        minutes, rest = divmod(size, 60_000_000_000)
        hours, minutes = divmod(minutes, 60)
        text = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
        return f"{sign}{text}{_decimal(rest, 1_000_000_000)}s"

    def method(self, name: str) -> Any:
        """Return what a method gives.

        Raises:
            KeyError: There is no such method.
        """
        units = {"Hours": 3600e9, "Minutes": 60e9, "Seconds": 1e9}
        whole = {"Milliseconds": 1_000_000, "Microseconds": 1000, "Nanoseconds": 1}
        if name == "String":
            return str(self)
        if name in units:
            return self.nanoseconds / units[name]
        return int(self.nanoseconds / whole[name])


def _decimal(count: int, unit: int) -> str:
    """Return ``count / unit`` with all its digits and no more."""
    whole, rest = divmod(count, unit)
    digits = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)


class Context(NamedTuple):
    """What an alert's templates are expanded with: fields of the dot.

    Attributes:
        labels: Of the series, with ``__name__`` where there is one.
        value: Of the series.
        external_labels: Of the configuration.
        external_url: Of this monitor.
        query: Answers an instant query at the moment of the evaluation.
        now: That moment, epoch seconds.

    `query` raises QueryError.
    """

    labels: Mapping[str, str]
    value: float
    external_labels: Mapping[str, str]
    external_url: str
    query: Callable[[str], list[Sample]]
    now: float = 0.0


def field(value: Any, name: str) -> Any:
    """Return a field, or what a method without arguments gives.

    Raises:
        KeyError: It has none of that name.
    """
    match value, name:
        case Struct(), _:
            return value.fields[name]
        case KV(), _:
            result = value.method(name)
            return value.get(name, "") if result is None else result
        case dict(), _:
            return value.get(name, "")
        case list(), _:
            return _method(value, name)
        case ((Time() | Duration()), _):
            return value.method(name)
        case _:
            return _of_a_rule(value, name)


def _method(value: Any, name: str) -> Any:
    match value, name:
        case Alerts(), "Firing" | "Resolved":
            status = name.lower()
            return Alerts(item for item in value if item.fields["Status"] == status)
        case Pairs(), "Names" | "Values":
            return [item.fields[name[:-1]] for item in value]
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
