"""The functions that Prometheus gives to alert templates, and Go's own."""

from __future__ import annotations

import datetime as dt
import html
import math
import operator
import urllib.parse
from typing import TYPE_CHECKING, Any, NamedTuple

import re2

from watchroom.errors import ConfigError
from watchroom.formats.gotext import float_text, plain, sprintf, type_name
from watchroom.monitor.templates.values import (
    Context,
    Duration,
    ExpandError,
    Sample,
    Time,
)
from watchroom.promql.relabel import expand
from watchroom.units import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable


class Function(NamedTuple):
    """A callable and the Go types of its parameters.

    Attributes:
        call: Takes the context first, then the arguments.
        parameters: One letter each: s string, a any, q vector, p sample, f float64.
        variadic: More arguments of the last type may follow (or none of it).
    """

    call: Callable[..., Any]
    parameters: str
    variadic: bool = False


def truth(value: Any) -> bool:
    """Return whether Go's templates take `value` for true."""
    return bool(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ExpandError(f"can't convert {type_name(value)} to float")
    try:
        return float(value)
    except ValueError as error:
        raise ExpandError(
            f'strconv.ParseFloat: parsing "{value}": invalid syntax'
        ) from error


def _g4(value: float) -> str:
    return format(value, ".4g") if math.isfinite(value) else float_text(value)


def _scaled(
    value: float, prefixes: tuple[str, ...], factor: float
) -> tuple[float, str]:
    """Divide (or, below 1, multiply) until the number reads well."""
    chosen = ""
    for prefix in prefixes:
        if (abs(value) < factor) if factor > 1 else (abs(value) >= 1):
            break
        chosen = prefix
        value = value / factor if factor > 1 else value * 1000
    return value, chosen


_LARGE = ("k", "M", "G", "T", "P", "E", "Z", "Y")
_BINARY = ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
_SMALL = ("m", "u", "n", "p", "f", "a", "z", "y")


def _humanize(_: Context, argument: Any) -> str:
    value = _number(argument)
    if value == 0 or not math.isfinite(value):
        return _g4(value)
    large = abs(value) >= 1
    value, prefix = _scaled(value, _LARGE if large else _SMALL, 1000 if large else 1)
    return _g4(value) + prefix


def _humanize1024(_: Context, argument: Any) -> str:
    value = _number(argument)
    if abs(value) <= 1 or not math.isfinite(value):
        return _g4(value)
    value, prefix = _scaled(value, _BINARY, 1024)
    return _g4(value) + prefix


def _humanize_duration(_: Context, argument: Any) -> str:  # noqa: PLR0911 - one per magnitude
    value = _number(argument)
    if not math.isfinite(value):
        return _g4(value)
    if value == 0:
        return _g4(value) + "s"
    if abs(value) < 1:
        value, prefix = _scaled(value, _SMALL, 1)
        return f"{_g4(value)}{prefix}s"
    sign = "-" if value < 0 else ""
    whole = int(abs(value))
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{_g4(abs(value))}s"


def _humanize_percentage(_: Context, argument: Any) -> str:
    return _g4(_number(argument) * 100) + "%"


def _humanize_timestamp(_: Context, argument: Any) -> str:
    value = _number(argument)
    if not math.isfinite(value):
        return _g4(value)
    millis = int(value * 1e9) // 1_000_000
    seconds, rest = divmod(millis, 1000)
    try:
        moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
    except OverflowError as error:
        raise ExpandError(f"{value} is not a time") from error
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{fraction} +0000 UTC"


def _to_time(_: Context, argument: Any) -> Time:
    value = _number(argument)
    if not math.isfinite(value):
        raise ExpandError("value is NaN or Inf")
    if abs(value * 1e9) > 2**63:
        raise ExpandError(
            f"{float_text(value)} cannot be represented as a nanoseconds timestamp "
            "since it overflows int64"
        )
    return Time(int(int(value * 1e9) / 1_000_000))


def _to_duration(_: Context, argument: Any) -> Duration:
    value = _number(argument) * 1e9
    # What Go makes of a number that its integers do not hold.
    return Duration(int(value) if abs(value) < 2**63 else -(2**63))


def _title(_: Context, text: str) -> str:
    parts = []
    before = " "
    for char in text:
        separates = before.isspace() or (
            before.isascii() and not before.isalnum() and before != "_"
        )
        parts.append(char.upper() if separates and len(char.upper()) == 1 else char)
        before = char
    return "".join(parts)


def _program(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        raise ExpandError(f"error parsing regexp: {pattern!r}") from error


def _re_replace_all(_: Context, pattern: str, replacement: str, text: str) -> str:
    """Replace as Go does: ``$1``, ``${1}``, ``$name``; an unknown group is empty."""
    return str(_program(pattern).sub(lambda match: expand(replacement, match), text))


def _match(_: Context, pattern: str, text: str) -> bool:
    return _program(pattern).search(text) is not None


def _first(_: Context, vector: list[Sample]) -> Sample:
    if not vector:
        raise ExpandError("first() called on vector with no elements")
    return vector[0]


def _sort_by_label(_: Context, label: str, vector: list[Sample]) -> list[Sample]:
    return sorted(vector, key=lambda sample: sample.labels.get(label, ""))


def _strip_port(_: Context, address: str) -> str:
    host, colon, _port = address.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        return address
    return host[1:-1] if host.startswith("[") else host


def _strip_domain(context: Context, address: str) -> str:
    host = _strip_port(context, address)
    port = address[len(host) :] if address.startswith(host) else ""
    if host.replace(".", "").isdigit() or ":" in host:
        return address
    return host.split(".")[0] + port


def _link(expr: str, tab: int) -> str:
    return f"/graph?g0.expr={urllib.parse.quote_plus(expr)}&g0.tab={tab}"


def _parse_duration(_: Context, text: str) -> float:
    try:
        return parse_duration(text)
    except ConfigError as error:
        raise ExpandError(str(error)) from error


def _index(_: Context, item: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(item, dict):
            if not isinstance(key, str):
                raise ExpandError(f"value has type {type_name(key)}; should be string")
            item = item.get(key, "")
        elif isinstance(item, list | str):
            if isinstance(key, bool) or not isinstance(key, int):
                raise ExpandError(f"cannot index slice/array with {type_name(key)}")
            if not 0 <= key < len(item):
                raise ExpandError(f"index out of range: {key}")
            item = item[key] if isinstance(item, list) else item.encode()[key]
        else:
            raise ExpandError(f"can't index item of type {type_name(item)}")
    return item


def _slice(_: Context, item: Any, *bounds: Any) -> Any:
    if not isinstance(item, list | str):
        raise ExpandError(f"can't slice item of type {type_name(item)}")
    low, high = (*bounds, len(item))[:2] if bounds else (0, len(item))
    if not 0 <= low <= high <= len(item):
        raise ExpandError(f"invalid slice index: {low} > {high}")
    return item[low:high]


def _len(_: Context, item: Any) -> int:
    if isinstance(item, str):
        return len(item.encode())
    if isinstance(item, dict | list):
        return len(item)
    raise ExpandError(f"len of type {type_name(item)}")


def _same_kind(left: Any, right: Any) -> None:
    if type_name(left) != type_name(right):
        raise ExpandError("incompatible types for comparison")


def _eq(_: Context, left: Any, *rights: Any) -> bool:
    if not rights:
        raise ExpandError("missing argument for comparison")
    for right in rights:
        if left is not None and right is not None:
            _same_kind(left, right)
        if left == right:
            return True
    return False


def _ne(context: Context, left: Any, right: Any) -> bool:
    return not _eq(context, left, right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    def ordered(_: Context, left: Any, right: Any) -> bool:
        _same_kind(left, right)
        if isinstance(left, bool) or not isinstance(left, int | float | str):
            raise ExpandError("invalid type for comparison")
        return compare(left, right)

    return ordered


_JS = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    **{char: f"\\u{ord(char):04X}" for char in "<>&="},
}


def _print(_: Context, *values: Any) -> str:
    """Join as Go's `Sprint`: a space where neither neighbour is a string."""
    text = ""
    for index, value in enumerate(values):
        if (
            index
            and not isinstance(value, str)
            and not isinstance(values[index - 1], str)
        ):
            text += " "
        text += plain(value)
    return text


FUNCTIONS: dict[str, Function] = {
    # Prometheus
    "args": Function(lambda _, *v: {f"arg{i}": x for i, x in enumerate(v)}, "a", True),
    "externalURL": Function(lambda c: c.external_url, ""),
    "first": Function(_first, "q"),
    "graphLink": Function(lambda _, e: _link(e, 0), "s"),
    "humanize": Function(_humanize, "a"),
    "humanize1024": Function(_humanize1024, "a"),
    "humanizeDuration": Function(_humanize_duration, "a"),
    "humanizePercentage": Function(_humanize_percentage, "a"),
    "humanizeTimestamp": Function(_humanize_timestamp, "a"),
    "label": Function(lambda _, name, s: s.labels.get(name, ""), "sp"),
    "match": Function(_match, "ss"),
    "parseDuration": Function(_parse_duration, "s"),
    "pathPrefix": Function(lambda c: urllib.parse.urlsplit(c.external_url).path, ""),
    "query": Function(lambda c, q: c.query(q), "s"),
    "reReplaceAll": Function(_re_replace_all, "sss"),
    "safeHtml": Function(lambda _, text: text, "s"),
    "sortByLabel": Function(_sort_by_label, "sq"),
    "stripDomain": Function(_strip_domain, "s"),
    "stripPort": Function(_strip_port, "s"),
    "strvalue": Function(lambda _, s: s.labels.get("__value__", ""), "p"),
    "tableLink": Function(lambda _, e: _link(e, 1), "s"),
    "title": Function(_title, "s"),
    "now": Function(lambda c: c.now, ""),
    "toDuration": Function(_to_duration, "a"),
    "toTime": Function(_to_time, "a"),
    "urlQueryEscape": Function(lambda _, text: urllib.parse.quote_plus(text), "s"),
    "toLower": Function(lambda _, text: text.lower(), "s"),
    "toUpper": Function(lambda _, text: text.upper(), "s"),
    "value": Function(lambda _, s: s.value, "p"),
    # text/template; `and` and `or` stop early, so `execute` has them
    "and": Function(lambda *_: None, "a", True),
    "or": Function(lambda *_: None, "a", True),
    "not": Function(lambda _, value: not truth(value), "a"),
    "eq": Function(_eq, "aa", True),
    "ne": Function(_ne, "aa"),
    "lt": Function(_ordered(operator.lt), "aa"),
    "le": Function(_ordered(operator.le), "aa"),
    "gt": Function(_ordered(operator.gt), "aa"),
    "ge": Function(_ordered(operator.ge), "aa"),
    "html": Function(lambda c, *v: _html(_print(c, *v)), "a", True),
    "js": Function(lambda c, *v: _js(_print(c, *v)), "a", True),
    "urlquery": Function(
        lambda c, *v: urllib.parse.quote_plus(_print(c, *v)), "a", True
    ),
    "index": Function(_index, "aa", True),
    "slice": Function(_slice, "aa", True),
    "len": Function(_len, "a"),
    "print": Function(_print, "a", True),
    "printf": Function(lambda _, f, *v: sprintf(f, v), "sa", True),
    "println": Function(lambda _, *v: " ".join(map(plain, v)) + "\n", "a", True),
}


def _html(text: str) -> str:
    return html.escape(text).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def _js(text: str) -> str:
    return "".join(_JS.get(c) or (c if c >= " " else f"\\u{ord(c):04X}") for c in text)
