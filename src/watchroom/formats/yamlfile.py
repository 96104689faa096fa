"""YAML into typed structs, with errors that name file, line, field and remedy."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import yaml

from watchroom.errors import ConfigError, NotSupportedError
from watchroom.formats import typed, yamlcaps

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

STRICT: dict[str, Any] = {
    "frozen": True,
    "forbid_unknown_fields": True,
    "omit_defaults": True,
}
"""How the structs of the servers' files are declared."""

_UNKNOWN = re.compile(r"contains unknown field `([^`]*)`")
_PATH = re.compile(r" - at `(\$[^`]*)`")
_STEP = re.compile(r"([A-Za-z_]\w*)|\[(\d+)\]|\[\.\.\.\]")


def load(text: str, file: str, kind: type[T]) -> T:
    """Return the struct of `kind` that a YAML text describes.

    Raises:
        ConfigError: As `read`.
    """
    return read(text, file, kind)[0]


def read(text: str, file: str, kind: type[T]) -> tuple[T, yaml.Node | None]:
    """Return the struct of `kind` that a YAML text describes, and its nodes.

    Empty text is ``{}``. Scalars are read as the servers read them (`typed`).

    Raises:
        ConfigError: It is not YAML, too large or too deep, a key is unknown (with the
            nearest known one), or a value has the wrong type.
    """
    node = compose(text, file)
    return convert(typed.shaped(node, kind, file), node, file, kind), node


def compose(text: str, file: str) -> yaml.Node | None:
    """Return the node tree of a YAML text that keeps the limits of `caps`.

    Raises:
        ConfigError: It is not YAML, too large or too deep, or has a key twice.
    """
    try:
        yamlcaps.yaml_within(text, file)
        node = yaml.compose(text, Loader=yamlcaps.Loader)
    except yaml.YAMLError as error:
        raise _broken(error, file) from None
    except UnicodeError:
        raise ConfigError("isn't UTF-8 text", file=file) from None
    if node is not None:
        _refuse_twins(node, file)
    return node


def parse(text: str, file: str) -> tuple[Any, yaml.Node | None]:
    """Return plain data and the node tree that knows its lines.

    Raises:
        ConfigError: As `compose`, or a value that YAML cannot parse.
    """
    node = compose(text, file)
    if node is None:
        return {}, None
    try:
        data = yaml.SafeLoader("").construct_document(node)
    except yaml.YAMLError as error:
        raise _broken(error, file) from None
    except ValueError as error:  # a date that does not exist
        raise ConfigError(f"not YAML: {error}", file=file) from None
    return ({} if data is None else data), node


def _broken(error: yaml.YAMLError, file: str) -> ConfigError:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None)
    line = mark.line + 1 if mark else None
    return ConfigError(f"not YAML: {what or error}", file=file, line=line)


def convert(data: Any, node: yaml.Node | None, file: str, kind: type[T]) -> T:
    """Return plain `data` as `kind`.

    Raises:
        ConfigError: A value has the wrong type, or a key is unknown.
    """
    try:
        return msgspec.convert(data, kind, strict=True)
    except msgspec.ValidationError as error:
        raise _with_position(str(error), node, file) from None


@contextlib.contextmanager
def placed(node: yaml.Node | None, file: str) -> Iterator[None]:
    """Give a ConfigError from inside its file, and the line of its field."""
    try:
        yield
    except ConfigError as error:
        line = error.line or line_of(node, steps(error.field or ""))
        raise error.moved(file=file, line=line, field=error.field) from None


@contextlib.contextmanager
def placed_in(text: str, file: str) -> Iterator[None]:
    """Do as `placed`, with the nodes of a text that has been read before."""
    try:
        yield
    except ConfigError as error:
        if error.file is not None:
            raise
        with placed(compose(text, file), file):
            raise


@contextlib.contextmanager
def within(field: str) -> Iterator[None]:
    """Make `field` the one, or the parent of the one, that a ConfigError names."""
    try:
        yield
    except ConfigError as error:
        below = f"{field}.{error.field}" if error.field else field
        raise error.moved(field=below) from None


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


def _with_position(message: str, node: yaml.Node | None, file: str) -> ConfigError:
    match = _PATH.search(message)
    path = steps(match[1]) if match else []
    what = _PATH.sub("", message).replace("`", "'")
    if unknown := _UNKNOWN.search(message):
        path = _locate(node, path, unknown[1])
        what = f"unknown key {unknown[1]!r}"
    field = "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in path)
    return ConfigError(
        what[:1].lower() + what[1:],
        file=file,
        line=line_of(node, path),
        field=field.lstrip(".") or None,
    )


def steps(path: str) -> list[str | int]:
    """Return the steps of ``$.route.routes[1]``; ``[...]`` (any item) ends them."""
    path_steps: list[str | int] = []
    for name, index in _STEP.findall(path.removeprefix("$")):
        if not name and not index:
            break
        path_steps.append(name or int(index))
    return path_steps


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


def _refuse_twins(top: yaml.Node, file: str) -> None:
    """Refuse a key that appears twice or is not a scalar; visits aliases once."""
    waiting, seen = [top], {id(top)}
    while waiting:
        node = waiting.pop()
        children = node.value if isinstance(node, yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, _ in node.value:
                twice = isinstance(key, yaml.ScalarNode) and key.value in keys
                if twice or not isinstance(key, yaml.ScalarNode):
                    line = key.start_mark.line + 1
                    if twice:
                        what = f"key {key.value!r} is defined twice"
                        raise ConfigError(what, file=file, line=line)
                    what = "a key must be one value, not a collection"
                    raise NotSupportedError(what, file=file, line=line)
                keys.add(key.value)
            children = [child for _, child in node.value]
        fresh = [child for child in children if id(child) not in seen]
        seen.update(map(id, fresh))
        waiting += fresh
