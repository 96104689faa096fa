"""YAML into typed structs, with errors that say file, line, field and remedy."""

from __future__ import annotations

import contextlib
import difflib
import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import yaml

from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

_UNKNOWN = re.compile(r"contains unknown field `([^`]*)`")
_PATH = re.compile(r" - at `(\$[^`]*)`")
_STEP = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]|\[\.\.\.\]")


def load(text: str, file: str, kind: type[T]) -> T:
    """Return the struct of `kind` that a YAML text describes; empty text is ``{}``.

    Raises:
        ConfigError: It is not YAML, a key is unknown (with the nearest known one), or
            a value has the wrong type.
    """
    data, node = parse(text, file)
    return convert(data, node, file, kind)


def parse(text: str, file: str) -> tuple[Any, yaml.Node | None]:
    """Return plain data and the node tree that knows its lines.

    Raises:
        ConfigError: It is not YAML, or a key stands twice.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is not None:
            _refuse_twins(node, file)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        line = mark.line + 1 if mark else None
        raise ConfigError(f"not YAML: {what}", file=file, line=line) from None
    return ({} if data is None else data), node


def convert(data: Any, node: yaml.Node | None, file: str, kind: type[T]) -> T:
    """Return `data` as `kind`.

    Raises:
        ConfigError: As `load`.
    """
    try:
        return msgspec.convert(data, kind, strict=True)
    except msgspec.ValidationError as error:
        raise _said(str(error), node, file, kind) from None


@contextlib.contextmanager
def placed(node: yaml.Node | None, file: str) -> Iterator[None]:
    """Give a ConfigError from inside its file, and the line of its field."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(
            error.what,
            file=file,
            line=line_of(node, steps(error.field or "")),
            field=error.field,
            hint=error.hint,
        ) from None


@contextlib.contextmanager
def within(field: str) -> Iterator[None]:
    """Make `field` the one, or the parent of the one, that a ConfigError names."""
    try:
        yield
    except ConfigError as error:
        below = f"{field}.{error.field}" if error.field else field
        raise ConfigError(error.what, field=below, hint=error.hint) from None


def line_of(node: yaml.Node | None, path: list[str | int]) -> int | None:
    """Return the 1-based line of the field at `path`, or of the nearest parent."""
    line = None if node is None else node.start_mark.line + 1
    for step in path:
        child = _child(node, step)
        if child is None:
            break
        key, node = child
        line = (key or node).start_mark.line + 1
    return line


def dump(data: Any) -> str:
    """Return YAML that is the same for the same data, in the data's own key order."""
    text: str = yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=88,
        default_flow_style=False,
    )
    return text


class _Dumper(yaml.SafeDumper):
    """Multi-line text as blocks, lists indented under their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002 - PyYAML's signature
        del indentless
        super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _child(
    node: yaml.Node | None, step: str | int
) -> tuple[yaml.Node | None, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key, value
    if isinstance(node, yaml.SequenceNode):
        at = step if isinstance(step, int) else len(node.value)
        if at < len(node.value):
            return None, node.value[at]
    return None


def _said(message: str, node: yaml.Node | None, file: str, kind: Any) -> ConfigError:
    found = _PATH.search(message)
    path = steps(found[1]) if found else []
    what = _PATH.sub("", message)
    what = what[:1].lower() + what[1:]
    hint = None
    if unknown := _UNKNOWN.search(message):
        path = [*_locate(node, path, unknown[1])]
        what = f"unknown key {unknown[1]!r}"
        near = difflib.get_close_matches(unknown[1], sorted(_keys(kind)), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "not supported"
    field = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path)
    return ConfigError(
        what,
        file=file,
        line=line_of(node, path),
        field=field.lstrip(".") or None,
        hint=hint,
    )


def steps(path: str) -> list[str | int]:
    """Return the steps of ``$.route.routes[1]``; ``[...]`` (any item) ends them."""
    found: list[str | int] = []
    for name, index in _STEP.findall(path.removeprefix("$")):
        if not name and not index:
            break
        found.append(name or int(index))
    return found


def _locate(node: yaml.Node | None, path: list[str | int], key: str) -> list[str | int]:
    """Return the path of `key` at or under `path`: msgspec stops at ``[...]``."""
    at = node
    for step in path:
        child = _child(at, step)
        if child is None:
            return path
        at = child[1]
    below = _find(at, key)
    return [*path, *below] if below is not None else path


def _find(node: yaml.Node | None, key: str) -> list[str | int] | None:
    if isinstance(node, yaml.MappingNode):
        for name, _ in node.value:
            if name.value == key:
                return [key]
        children = [(name.value, value) for name, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = list(enumerate(node.value))
    else:
        return None
    for step, child in children:
        below = _find(child, key)
        if below is not None:
            return [step, *below]
    return None


def _keys(kind: Any) -> set[str]:
    """Return every key that `kind` or a struct inside it knows."""
    keys: set[str] = set()
    seen: set[Any] = set()
    waiting = [kind]
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        if isinstance(at, type) and issubclass(at, msgspec.Struct):
            for field in msgspec.structs.fields(at):
                keys.add(field.encode_name)
                waiting.append(field.type)
        waiting.extend(getattr(at, "__args__", ()))
    return keys


def _refuse_twins(node: yaml.Node, file: str) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                raise ConfigError(
                    f"key {key.value!r} stands twice",
                    file=file,
                    line=key.start_mark.line + 1,
                )
            seen.add(key.value)
            _refuse_twins(value, file)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_twins(value, file)
