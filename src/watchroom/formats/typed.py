"""YAML nodes as the fields of structs, read as the servers' own reader does.

Prometheus and Alertmanager read YAML into typed fields: a text field takes any scalar
as it is written (``for: 0``, ``severity: 1``, ``team: on``), so what a scalar looks
like decides nothing. A key without a value counts as not given where that is what the
servers make of it, and is refused where they would take another value than the default.
"""

from __future__ import annotations

import difflib
import functools
import re
import types
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

import msgspec
import yaml

from watchroom.errors import ConfigError, NotSupportedError
from watchroom.formats.known_keys import INSTEAD, Keys

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE = "__line__"
"""A struct's field of this name gets the line that it begins on."""

_TAG = "tag:yaml.org,2002:"
_SCALARS = {"str", "int", "float", "bool", "null", "timestamp", "merge", "value"}
_BOOLS = {"true": True, "yes": True, "on": True}
_BOOLS |= {"false": False, "no": False, "off": False, "y": True, "n": False}
_ZERO = ("", "0", "0s", False, 0, None, msgspec.NODEFAULT)
_LETTERS = {"y", "Y", "n", "N"}
_NUMBERS = {"int", "float"}
_KINDS = {str: "a string", bool: "true or false", int: "a whole number"}
_KINDS[float] = "a number"


def shaped(node: yaml.Node | None, kind: Any, file: str) -> Any:
    """Return plain data of the shape of `kind`, for `msgspec.convert`.

    Raises:
        ConfigError: A key that the servers do not know either, a value of another
            kind; with file, line, field and hint.
        NotSupportedError: A key that the struct names in ``NOT_HERE``.
    """
    if node is None or _is_null(node):
        if get_origin(kind) is list:
            return []
        for name in _needed(kind):
            raise ConfigError(f"{name!r} is missing", file=file, line=1)
        return {}
    return _Shaper(file).value(node, kind, "")


class _Shaper:
    def __init__(self, file: str) -> None:
        self._file = file

    def value(self, node: yaml.Node, kind: Any, field: str) -> Any:
        kind = _required(kind)
        if _is_null(node):
            return self._nothing(node, kind, field)
        if kind is Any:
            return yaml.SafeLoader("").construct_document(node)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._struct(self._mapping(node, field), kind, field)
        if get_origin(kind) is list:
            return self._list(node, get_args(kind)[0], field)
        if get_origin(kind) is dict:
            of = get_args(kind)[1]
            return {
                key.value: self.value(child, of, f"{field}.{key.value}")
                for key, child in self._pairs(self._mapping(node, field), field)
            }
        return self._scalar(node, kind, field)

    def _nothing(self, node: yaml.Node, kind: Any, field: str) -> Any:
        """Return what an item of a list, or a label, is without a value."""
        if kind is Any:
            return None
        if kind is str or get_origin(kind) in {list, dict}:
            return (get_origin(kind) or kind)()
        raise self._not_here(node, field, "is empty", "remove it, or write its keys")

    def _struct(self, node: yaml.MappingNode, kind: Any, field: str) -> dict[str, Any]:
        fields = _fields(kind)
        values: dict[str, Any] = {}
        for key, child in self._pairs(node, field):
            name = key.value
            below = f"{field}.{name}" if field else name
            if name not in fields or name == LINE:
                raise self._unknown(key, kind, below)
            if not _is_null(child):
                values[name] = self.value(child, fields[name], below)
            elif not _means_default(kind, name):
                raise self._not_here(
                    child, below, "is empty", "write a value, or remove the line"
                )
        if LINE in fields:
            values[LINE] = node.start_mark.line + 1
        missing = [name for name in _needed(kind) if name not in values]
        if missing:
            raise self._error(node, field, f"{missing[0]!r} is missing")
        return values

    def _list(self, node: yaml.Node, of: Any, field: str) -> list[Any]:
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(
                node,
                field,
                f"must be a list, not {_described(node)}",
                "write it as [ … ]",
            )
        return [
            self.value(child, of, f"{field}[{index}]")
            for index, child in enumerate(node.value)
        ]

    def _mapping(self, node: yaml.Node, field: str) -> yaml.MappingNode:
        if not isinstance(node, yaml.MappingNode):
            raise self._error(
                node,
                field,
                f"must be a mapping of keys to values, not {_described(node)}",
            )
        return node

    def _pairs(
        self, node: yaml.MappingNode, field: str
    ) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """Yield keys and values, those of ``<<`` first; a mapping's own ones win."""
        own = {key.value for key, _ in node.value if not _is_merge(key)}
        for key, child in node.value:
            if _is_null(key):
                raise self._not_here(key, field, "is empty", "a key is empty")
            if not _is_merge(key):
                yield key, child
                continue
            several = isinstance(child, yaml.SequenceNode)
            for source in child.value if several else [child]:
                for inner, value in self._pairs(self._mapping(source, field), field):
                    if inner.value not in own:
                        own.add(inner.value)
                        yield inner, value

    def _scalar(self, node: yaml.Node, kind: Any, field: str) -> Any:
        if not isinstance(node, yaml.ScalarNode):
            expected = _KINDS.get(kind, "one value")
            raise self._error(
                node, field, f"must be {expected}, not {_described(node)}"
            )
        tag = node.tag.removeprefix(_TAG)
        if tag not in _SCALARS:
            what = f"the YAML tag {node.tag!r} is not supported"
            raise self._not_here(node, field, what)
        text: str = node.value
        if kind is str:
            return text
        if kind is bool and (tag == "bool" or (text in _LETTERS and not node.style)):
            return _BOOLS[text.lower()]
        if kind in {int, float} and (tag in _NUMBERS or not node.style):
            number = _number(text)
            if kind is int and isinstance(number, float):
                raise self._not_here(
                    node,
                    field,
                    f"{text!r} isn't a whole number",
                    "the servers ignore what follows the decimal point",
                )
            if number is not None:
                return kind(number)
        expected = _KINDS.get(kind, "one value")
        raise self._error(node, field, f"must be {expected}, not {_described(node)}")

    def _unknown(self, key: yaml.Node, kind: Any, field: str) -> ConfigError:
        name = key.value
        keys: Keys | None = getattr(kind, "NOT_HERE", None)
        if keys and name in keys.names:
            what = f"{name!r} is not supported by the embedded monitor"
            hint = INSTEAD.get(name) or keys.instead
            return self._not_here(key, field, what, hint)
        known = sorted(n for n in _fields(kind) if n != LINE)
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = (
            f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        )
        return self._error(key, field, f"unknown key {name!r}", hint)

    def _error(
        self,
        node: yaml.Node,
        field: str,
        what: str,
        hint: str | None = None,
        kind: type[ConfigError] = ConfigError,
    ) -> ConfigError:
        line = node.start_mark.line + 1
        return kind(what, file=self._file, line=line, field=field or None, hint=hint)

    def _not_here(
        self, node: yaml.Node, field: str, what: str, hint: str | None = None
    ) -> ConfigError:
        return self._error(node, field, what, hint, NotSupportedError)


def _required(kind: Any) -> Any:
    if get_origin(kind) in {types.UnionType, Union}:
        return next(arm for arm in get_args(kind) if arm is not type(None))
    return kind


@functools.cache
def _fields(kind: Any) -> dict[str, Any]:
    return {each.encode_name: each.type for each in msgspec.structs.fields(kind)}


@functools.cache
def _means_default(kind: Any, name: str) -> bool:
    """Return whether the servers make the default of a key without a value."""
    for each in msgspec.structs.fields(kind):
        if each.encode_name == name and _required(each.type) in {str, bool, int, float}:
            return each.default in _ZERO
    return True


@functools.cache
def _needed(kind: Any) -> list[str]:
    return [each.encode_name for each in msgspec.structs.fields(kind) if each.required]


def _number(text: str) -> int | float | None:
    """Return a number as Go's reader takes it: 0x1F, 0o17, 017, 1_000, 1e3."""
    plain = text.replace("_", "")
    octal = re.fullmatch(r"([-+]?)0([0-7]+)", plain)
    try:
        number = int(octal[1] + octal[2], 8) if octal else int(plain, 0)
    except ValueError:
        try:
            return float(plain)
        except ValueError:
            return None
    return number if abs(number) < 2**64 else None


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == _TAG + "null")


def _is_merge(key: yaml.Node) -> bool:
    return bool(key.tag == _TAG + "merge")


def _described(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    text = str(node.value)
    return repr(text if len(text) <= 40 else text[:39] + "…")
