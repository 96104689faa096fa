"""Walking a template's tree over one alert or one message."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Never

from watchroom.errors import WatchroomError
from watchroom.formats.gotext import plain, type_name
from watchroom.monitor.templates import nodes
from watchroom.monitor.templates.functions import Function, truth
from watchroom.monitor.templates.values import (
    Context,
    ExpandError,
    Sample,
    field,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_OUTPUT = 64 * 1024
"""Characters that one expansion may give: an annotation, not a report."""

_MAX_STEPS = 100_000
_NOTHING = object()


class _Break(Exception):  # noqa: N818 - a jump, not an error
    """``{{ break }}``."""


class _Continue(Exception):  # noqa: N818 - a jump, not an error
    """``{{ continue }}``."""


class _Full(Exception):  # noqa: N818 - a jump, not an error
    """The text has reached its limit, and is to be cut there."""


class Execution:
    """One expansion of one template.

    Args:
        name: What errors call it.
        text: What it was read from.
        dot: What it starts with.
        scope: Further variables by name, with their dollar.
        functions: What it may call; each gets the dot first.
        cut: End a text at its limit, rather than refuse it.
    """

    def __init__(
        self,
        name: str,
        text: str,
        dot: Any,
        scope: Mapping[str, Any],
        functions: Mapping[str, Function],
        *,
        cut: bool = False,
    ) -> None:
        self._name = name
        self._text = text
        self._context = dot
        self._scope: list[tuple[str, Any]] = [("$", dot), *scope.items()]
        self._functions = functions
        self._cut = cut
        self._out: list[str] = []
        self._length = 0
        self._steps = 0

    def run(self, tree: tuple[nodes.Node, ...]) -> str:
        """Return the text.

        Raises:
            ExpandError: A function refused, a value had the wrong type, or the result
                passed a limit.
        """
        with contextlib.suppress(_Full):
            self._walk(tree, self._context)
        return "".join(self._out)

    def _fail(self, at: int, message: str) -> Never:
        row = self._text.count("\n", 0, at) + 1
        column = at - (self._text.rfind("\n", 0, at) + 1)
        raise ExpandError(f"template: {self._name}:{row}:{column}: {message}")

    def _walk(self, tree: tuple[nodes.Node, ...], dot: Any) -> None:
        depth = len(self._scope)
        for node in tree:
            self._step()
            match node:
                case nodes.Text():
                    self._write(node.text)
                case nodes.Action():
                    value = self._pipeline(node.pipeline, dot)
                    if not node.pipeline.declared:
                        self._write(self._printed(value))
                case nodes.If():
                    self._if(node, dot)
                case nodes.RangeNode():
                    self._range(node, dot)
                case nodes.Jump():
                    raise _Break if node.breaks else _Continue
        del self._scope[depth:]

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise ExpandError(f"template {self._name} takes over {_MAX_STEPS} steps")

    def _write(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_OUTPUT:
            if self._cut:
                self._out.append(text[: MAX_OUTPUT - self._length])
                raise _Full
            raise ExpandError(
                f"template {self._name} gives over {MAX_OUTPUT} characters"
            )
        self._out.append(text)

    def _printed(self, value: Any) -> str:
        if value is None:
            return "<no value>"
        if isinstance(value, Context):
            return (
                f"{{{plain(dict(value.labels))} {plain(dict(value.external_labels))} "
                f"{value.external_url} {plain(value.value)}}}"
            )
        return plain(value)

    def _if(self, node: nodes.If, dot: Any) -> None:
        depth = len(self._scope)
        value = self._pipeline(node.pipeline, dot)
        if truth(value):
            self._walk(node.then, value if node.moves_dot else dot)
        else:
            self._walk(node.otherwise, dot)
        del self._scope[depth:]

    def _range(self, node: nodes.RangeNode, dot: Any) -> None:
        depth = len(self._scope)
        value = self._pipeline(node.pipeline, dot, declare=False)
        items: list[tuple[Any, Any]]
        match value:
            case list():
                items = list(enumerate(value))
            case dict():
                items = [(key, value[key]) for key in sorted(value)]
            case None:
                items = []
            case _:
                self._fail(
                    node.pipeline.at,
                    f"range can't iterate over {self._printed(value)}",
                )
        for place, item in items:
            self._bind_range(node.pipeline, place, item)
            try:
                self._walk(node.body, item)
            except _Break:
                break
            except _Continue:
                continue
            finally:
                del self._scope[depth:]
        if not items:
            self._walk(node.otherwise, dot)
        del self._scope[depth:]

    def _bind_range(self, pipeline: nodes.Pipeline, key: Any, item: Any) -> None:
        values = (item,) if len(pipeline.declared) == 1 else (key, item)
        for name, value in zip(pipeline.declared, values, strict=False):
            if pipeline.assigns:
                self._assign(name, value)
            else:
                self._scope.append((name, value))

    def _assign(self, name: str, value: Any) -> None:
        for index in range(len(self._scope) - 1, -1, -1):
            if self._scope[index][0] == name:
                self._scope[index] = (name, value)
                return

    def _pipeline(
        self, pipeline: nodes.Pipeline, dot: Any, *, declare: bool = True
    ) -> Any:
        value: Any = _NOTHING
        for command in pipeline.commands:
            self._step()
            value = self._command(command, dot, value)
        if declare:
            for name in pipeline.declared:
                if pipeline.assigns:
                    self._assign(name, value)
                else:
                    self._scope.append((name, value))
        return value

    def _command(self, command: nodes.Command, dot: Any, final: Any) -> Any:
        callee, *operands = command.operands
        if not isinstance(callee, nodes.Call):
            return self._operand(callee, dot)
        return self._call(callee, operands, dot, final)

    def _operand(self, operand: nodes.Operand, dot: Any) -> Any:  # noqa: PLR0911 - one per kind
        match operand:
            case nodes.Literal():
                return operand.value
            case nodes.Dot():
                return dot
            case nodes.Field():
                return self._fields(dot, operand.names, operand.at)
            case nodes.Variable():
                value = next(v for n, v in reversed(self._scope) if n == operand.name)
                return self._fields(value, operand.names, operand.at)
            case nodes.Chain():
                inner = self._pipeline(operand.inner, dot)
                return self._fields(inner, operand.names, operand.at)
            case nodes.Pipeline():
                return self._pipeline(operand, dot)
            case nodes.Call():
                return self._call(operand, [], dot, _NOTHING)

    def _fields(self, value: Any, names: tuple[str, ...], at: int) -> Any:
        for name in names:
            if value is None:
                self._fail(at, f"nil data; no entry for key {name!r}")
            try:
                value = field(value, name)
            except KeyError:
                self._fail(at, f"can't evaluate field {name} in {type_name(value)}")
        return value

    def _call(
        self, callee: nodes.Call, operands: list[nodes.Operand], dot: Any, final: Any
    ) -> Any:
        if callee.name in {"and", "or"}:
            return self._junction(callee, operands, dot, final)
        arguments = [self._operand(operand, dot) for operand in operands]
        if final is not _NOTHING:
            arguments.append(final)
        function = self._functions[callee.name]
        least = len(function.parameters) - function.variadic
        if len(arguments) < least or (not function.variadic and len(arguments) > least):
            expected = f"at least {least}" if function.variadic else f"{least}"
            self._fail(
                callee.at,
                f"wrong number of args for {callee.name}: "
                f"want {expected} got {len(arguments)}",
            )
        for index, value in enumerate(arguments):
            kind = function.parameters[min(index, len(function.parameters) - 1)]
            if not _fits(kind, value):
                self._fail(
                    callee.at,
                    f"wrong type for value; expected {_KINDS[kind]}; "
                    f"got {type_name(value)}",
                )
        try:
            return function.call(self._context, *arguments)
        except WatchroomError as error:
            self._fail(callee.at, f"error calling {callee.name}: {error}")

    def _junction(
        self, callee: nodes.Call, operands: list[nodes.Operand], dot: Any, final: Any
    ) -> Any:
        value: Any = _NOTHING
        for operand in operands:
            value = self._operand(operand, dot)
            if truth(value) == (callee.name == "or"):
                return value
        if final is not _NOTHING:
            return final
        if value is _NOTHING:
            self._fail(callee.at, f"wrong number of args for {callee.name}")
        return value


_KINDS = {
    "s": "string",
    "q": "template.queryResult",
    "p": "*template.sample",
    "a": "interface {}",
}


def _fits(kind: str, value: Any) -> bool:
    match kind:
        case "s":
            return isinstance(value, str)
        case "q":
            return isinstance(value, list)
        case "p":
            return isinstance(value, Sample)
        case _:
            return True
