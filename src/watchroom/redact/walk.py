"""Walks through a value that is about to be written: bounded, whatever it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from watchroom.redact import numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    from watchroom.redact import Redactor

REDACTED = "[redacted]"
CIRCULAR = "[circular]"
LEFT_OUT = "[left out]"
MAX_DEPTH = 8
MAX_ITEMS = 100
MAX_NODES = 1000
MAX_TEXT = 8192
MAX_CHARS = 65536
LEAST_CARD = 10**12
_SCALARS = frozenset((str, int, float, bool, type(None)))

# Of an object of this name only these headers are shown: services put keys into any.
_HEADERS = ("headers", "request.meta")
_TELLING = frozenset(
    (
        *("accept", "accept-encoding", "accept-language", "cache-control"),
        *("connection", "content-encoding", "content-length", "content-type", "date"),
        *("dnt", "host", "if-modified-since", "if-none-match", "origin", "range"),
        *("referer", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "te"),
        *("traceparent", "transfer-encoding", "upgrade", "user-agent", "vary"),
        *("x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-request-id"),
    )
)


class Limits:
    """How far a walk goes.

    Attributes:
        depth: Containers inside containers.
        items: Entries of one container.
        nodes: Values in all.
        text: Characters of one text.
        chars: Characters of all texts.
        keep: Names whose scalars stay as they are: ids that are known to be no secret.
        first: What each text goes through before.
    """

    __slots__ = ("chars", "depth", "first", "items", "keep", "nodes", "text")

    def __init__(
        self,
        depth: int = MAX_DEPTH,
        items: int = MAX_ITEMS,
        nodes: int = MAX_NODES,
        text: int = MAX_TEXT,
        chars: int = MAX_CHARS,
        keep: frozenset[str] = frozenset(),
        first: Callable[[str], str] | None = None,
    ) -> None:
        self.depth, self.items, self.nodes = depth, items, nodes
        self.text, self.chars, self.keep, self.first = text, chars, keep, first


def clip(text: str, most: int) -> str:
    """Return `text` cut to `most` characters, saying how many are missing."""
    if len(text) <= most:
        return text
    head = most * 3 // 4
    tail = most - head
    gap = f" [{len(text) - most} characters left out] "
    return text[:head] + gap + text[len(text) - tail :]


def speakable(text: str) -> str:
    r"""Return `text` with what UTF-8 cannot carry written as ``\udXXX``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def safe_text(value: object) -> str:
    """Return ``str(value)``, or a placeholder when that raises."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - __str__ is the app's own code
        return f"[{_class(value)}: its text raised {_class(error)}]"


class Walk:
    """One walk, for one value."""

    def __init__(self, redactor: Redactor, limits: Limits) -> None:
        self._redactor = redactor
        self._limits = limits
        self._left = limits.nodes
        self._chars = limits.chars
        self._above: set[int] = set()

    def plain(self, value: Any, depth: int) -> Any:  # noqa: PLR0911 - one per kind
        """Return a value as JSON has it."""
        self._left -= 1
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self._text(value)
        if isinstance(value, int):
            number = int(value)
            if number >= LEAST_CARD and numbers.card(_digits(number)):
                return REDACTED
            return number if -(1 << 63) <= number < 1 << 63 else _digits(number)
        if isinstance(value, float):
            if not math.isfinite(value):
                return None
            card = value >= LEAST_CARD and numbers.card(_digits(int(value)))
            return REDACTED if card else float(value)
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, bytes | bytearray):
            return self._text(
                bytes(value[: self._limits.text + 1]).decode(
                    "utf-8", "backslashreplace"
                )
            )
        if isinstance(value, dict | list | tuple | set | frozenset):
            return self._container(value, depth)
        return self._text(safe_text(value))

    def _text(self, text: str) -> str:
        if self._chars <= 0:
            return LEFT_OUT
        text = clip(text, min(self._limits.text, self._chars))
        self._chars -= len(text)
        if self._limits.first is not None:
            text = self._limits.first(text)
        return speakable(self._redactor.text(text))

    def _container(self, value: Any, depth: int) -> Any:
        if id(value) in self._above:
            return CIRCULAR
        if depth >= self._limits.depth or self._left <= 0:
            return LEFT_OUT
        self._above.add(id(value))
        try:
            # A copy: another thread may be changing it.
            if isinstance(value, dict):
                return self._dict(list(value.items()), depth)
            return self._list(list(value), depth)
        except Exception as error:  # noqa: BLE001 - a container of the app's own
            return f"[{_class(value)}: reading it raised {_class(error)}]"
        finally:
            self._above.discard(id(value))

    def _dict(self, pairs: list[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        hidden: dict[str, Any] = {}
        secret_keys = self._named(pairs[: self._limits.items])
        for key, value in pairs[: self._limits.items]:
            name = self._text(key if type(key) is str else safe_text(key))[:256]
            if self._left <= 0:
                break
            if name in self._limits.keep and type(value) in _SCALARS:
                hidden[name] = value
            elif self._redactor.hides(name, value) or (
                value is not None and name.lower() in secret_keys
            ):
                hidden[name] = REDACTED
            elif name.lower().endswith(_HEADERS):
                hidden[name] = self.plain(_known_headers(value), depth + 1)
            else:
                hidden[name] = self.plain(value, depth + 1)
        if len(pairs) > len(hidden):
            hidden["[left out]"] = len(pairs) - len(hidden)
        return hidden

    def _named(self, pairs: list[tuple[Any, Any]]) -> tuple[str, ...]:
        """Return which entry holds what the others call a secret.

        ``{"name": "password", "value": …}``, and what pydantic could not take:
        ``{"type": …, "loc": ("password",), "input": …}``.
        """
        entries = {k.lower(): v for k, v in pairs if type(k) is str}
        if "value" in entries:
            names = (entries.get(key) for key in ("name", "key", "field"))
            if any(type(key) is str and self._redactor.secret(key) for key in names):
                return ("value",)
        elif "input" in entries and "loc" in entries and "type" in entries:
            return ("input",)
        return ()

    def _list(self, values: list[Any], depth: int) -> list[Any]:
        items: list[Any] = []
        for value in values[: self._limits.items]:
            if self._left <= 0:
                break
            if _paired(value) and self._redactor.hides(_header(value[0]), value[1]):
                value = value[0], REDACTED  # noqa: PLW2901 - what is left of it
            items.append(self.plain(value, depth + 1))
        if len(values) > len(items):
            items.append(f"[{len(values) - len(items)} left out]")
        return items


def telling(header: object) -> bool:
    """Return whether a header of this name is known to hold no secret."""
    return _header(header).lower().replace("_", "-") in _TELLING


def _known_headers(headers: Any) -> Any:
    """Return headers with the values of those only that are known to hold no secret."""
    if isinstance(headers, dict):
        return dict(map(_known_header, list(headers.items())[:MAX_ITEMS]))
    if isinstance(headers, list | tuple):
        return [
            _known_header(header) if _paired(header) else header for header in headers
        ]
    return headers


def _known_header(header: Any) -> Any:
    name, value = header
    return name, value if telling(name) else REDACTED


def _paired(value: Any) -> bool:
    """Return whether this is a name and its value, as ASGI has headers."""
    kind = isinstance(value, list | tuple) and len(value) == 2
    return kind and isinstance(value[0], str | bytes)


def _header(name: object) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else safe_text(name)


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # more digits than Python turns into text
        return f"[a number of {number.bit_length()} bits]"


def _class(value: object) -> str:
    return type(value).__name__
