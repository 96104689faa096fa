"""From tokens to the tree: the part of Go's text/template that alerts are written in.

Not in it, and refused by name: ``define``, ``template``, ``block``, and functions that
Prometheus does not give to alert templates.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from watchroom.monitor.templates import nodes
from watchroom.monitor.templates.lex import (
    TemplateSyntaxError,
    Token,
    tokens,
    unquote,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_REFUSED = frozenset({"define", "template", "block"})
_NOT_HERE = frozenset({"call"})
"""Functions of Prometheus 3 or of Go that this subset does not have."""
_MOST_LEVELS = 60
_KEYWORDS = frozenset({"if", "else", "end", "range", "with", "break", "continue"})


class Parser:
    """One template's text, read once.

    Args:
        text: The template.
        functions: The names that may be called.
        variables: The names, with their dollar, that are declared from outside.
    """

    def __init__(
        self, text: str, functions: Collection[str], variables: Collection[str]
    ) -> None:
        self._text = text
        self._functions = functions
        self._scope = [*variables]
        self._pieces = tokens(text)
        self._next = 0
        self._loops = 0
        self._levels = 0
        self._tokens: list[Token] = []
        self._position = 0

    def parse(self) -> tuple[nodes.Node, ...]:
        """Return the tree.

        Raises:
            TemplateSyntaxError: Something is not of this subset, by name and position.
        """
        body, closer = self._body()
        if closer is not None:
            raise self._error(f"unexpected {{{{{closer.text}}}}}", closer.at)
        return body

    def _error(self, message: str, at: int) -> TemplateSyntaxError:
        return TemplateSyntaxError(message, self._text, at)

    def _unsupported(self, feature: str, at: int) -> TemplateSyntaxError:
        return self._never(f"{feature} is not supported here", at)

    def _never(self, message: str, at: int) -> TemplateSyntaxError:
        """Return the error for what Go reads, and fails at whenever it expands it."""
        error = self._error(message, at)
        error.unsupported = True
        return error

    @contextlib.contextmanager
    def _deeper(self, at: int) -> Iterator[None]:
        self._levels += 1
        if self._levels > _MOST_LEVELS:
            raise self._error(f"more than {_MOST_LEVELS} levels deep", at)
        yield
        self._levels -= 1

    # Nodes

    def _body(self) -> tuple[tuple[nodes.Node, ...], Token | None]:
        """Return the nodes up to an ``else`` or ``end``, and that word."""
        body: list[nodes.Node] = []
        while self._next < len(self._pieces):
            piece = self._pieces[self._next]
            self._next += 1
            if piece[0].kind == "text":
                body.append(nodes.Text(piece[0].text))
                continue
            self._tokens, self._position = piece, 0
            self._skip()
            token = self._peek()
            if token.kind == "name" and token.text in {"else", "end"}:
                return tuple(body), token
            body.append(self._node(token))
        return tuple(body), None

    def _node(self, token: Token) -> nodes.Node:
        if token.kind == "name" and token.text in _REFUSED:
            raise self._unsupported(f"{{{{{token.text}}}}}", token.at)
        if token.kind != "name" or token.text not in _KEYWORDS:
            pipeline = self._pipeline()
            self._finish()
            return nodes.Action(pipeline)
        self._position += 1
        if token.text in {"break", "continue"}:
            if not self._loops:
                raise self._error(
                    f"{{{{{token.text}}}}} outside {{{{range}}}}", token.at
                )
            self._skip()
            self._finish()
            return nodes.Jump(token.text == "break")
        with self._deeper(token.at):
            return self._control(token)

    def _control(self, token: Token) -> nodes.Node:
        """Return an if, with or range whose keyword has just been read."""
        depth = len(self._scope)
        pipeline = self._pipeline(in_range=token.text == "range")
        self._finish()
        self._loops += token.text == "range"
        then, closer = self._body()
        self._loops -= token.text == "range"
        otherwise: tuple[nodes.Node, ...] = ()
        if closer is not None and closer.text == "else":
            otherwise, closer = self._else(token)
        if closer is None:
            raise self._error(f"{{{{{token.text}}}}} has no {{{{end}}}}", token.at)
        del self._scope[depth:]
        if token.text == "range":
            return nodes.RangeNode(pipeline, then, otherwise)
        return nodes.If(pipeline, then, otherwise, token.text == "with")

    def _else(self, opener: Token) -> tuple[tuple[nodes.Node, ...], Token | None]:
        self._position += 1
        self._skip()
        token = self._peek()
        if (
            token.kind == "name"
            and token.text == opener.text
            and opener.text != "range"
        ):
            self._position += 1
            # The inner one's end is the outer one's too.
            with self._deeper(token.at):
                return (self._control(token),), token
        self._finish()
        return self._body()

    # Pipelines

    def _peek(self) -> Token:
        return self._tokens[self._position]

    def _skip(self) -> bool:
        """Skip spaces; return whether there were any."""
        spaces = False
        while self._peek().kind == "space":
            self._position += 1
            spaces = True
        return spaces

    def _finish(self) -> None:
        token = self._peek()
        if token.kind != "end":
            raise self._error(f"unexpected {token.text!r}", token.at)

    def _declarations(self, *, in_range: bool) -> tuple[tuple[str, ...], bool]:
        """Return the variables before ``:=`` or ``=``, and whether it assigns."""
        start = self._position
        names: list[Token] = []
        while self._peek().kind == "variable":
            names.append(self._peek())
            self._position += 1
            self._skip()
            token = self._peek()
            if token.kind == "comma" and in_range and len(names) == 1:
                self._position += 1
                self._skip()
                continue
            if token.kind not in {"declare", "assign"}:
                break
            self._position += 1
            assigns = token.kind == "assign"
            for name in names:
                if assigns and name.text not in self._scope:
                    raise self._never(f"undefined variable {name.text!r}", name.at)
            return tuple(name.text for name in names), assigns
        self._position = start
        return (), False

    def _pipeline(
        self, *, in_range: bool = False, closer: str = "end"
    ) -> nodes.Pipeline:
        self._skip()
        at = self._peek().at
        names, assigns = self._declarations(in_range=in_range)
        commands: list[nodes.Command] = []
        while True:
            self._skip()
            commands.append(self._command(closer, first=not commands))
            self._skip()
            token = self._peek()
            if token.kind == "pipe":
                self._position += 1
            elif token.kind == closer:
                break
            else:
                raise self._error(f"unexpected {token.text!r} in command", token.at)
        if not assigns:
            self._scope.extend(names)
        return nodes.Pipeline(names, assigns, tuple(commands), at)

    def _command(self, closer: str, *, first: bool) -> nodes.Command:
        operands: list[nodes.Operand] = []
        at = self._peek().at
        while self._peek().kind not in {closer, "pipe", "end"}:
            operands.append(self._operand())
            if not self._skip() and self._peek().kind not in {closer, "pipe", "end"}:
                token = self._peek()
                raise self._error(f"unexpected {token.text!r} in operand", token.at)
        if not operands:
            fails = self._error if first else self._never
            raise fails("missing value for command", at)
        callee = operands[0]
        if isinstance(callee, nodes.Literal) and callee.value is None:
            raise self._never("nil is not a command", at)
        if not isinstance(callee, nodes.Call) and (len(operands) > 1 or not first):
            raise self._never("only a function takes arguments", at)
        return nodes.Command(tuple(operands), at)

    def _operand(self) -> nodes.Operand:  # noqa: C901 - one case per token
        token = self._peek()
        self._position += 1
        operand: nodes.Operand
        match token.kind:
            case "string" | "raw":
                operand = nodes.Literal(
                    unquote(token.text, self._text, token.at), token.at
                )
            case "char":
                code = ord(unquote(token.text, self._text, token.at)[:1] or "\0")
                operand = nodes.Literal(code, token.at)
            case "number":
                operand = nodes.Literal(self._number(token), token.at)
            case "variable":
                if token.text not in self._scope:
                    raise self._error(f"undefined variable {token.text!r}", token.at)
                return nodes.Variable(token.text, self._fields(), token.at)
            case "field":
                self._position -= 1
                return nodes.Field(self._fields(), token.at)
            case "dot":
                operand = nodes.Dot(token.at)
            case "name":
                operand = self._named(token)
            case "open":
                with self._deeper(token.at):
                    inner = self._pipeline(closer="close")
                self._position += 1
                names = self._fields()
                return nodes.Chain(inner, names, token.at) if names else inner
            case _:
                raise self._error(f"unexpected {token.text!r}", token.at)
        if self._peek().kind == "field":
            raise self._error(f"unexpected {self._peek().text!r}", self._peek().at)
        return operand

    def _fields(self) -> tuple[str, ...]:
        names: list[str] = []
        while self._peek().kind == "field":
            names.append(self._peek().text[1:])
            self._position += 1
        return tuple(names)

    def _named(self, token: Token) -> nodes.Literal | nodes.Call:
        constants = {"true": True, "false": False, "nil": None}
        if token.text in constants:
            return nodes.Literal(constants[token.text], token.at)
        if token.text in _KEYWORDS | _REFUSED:
            raise self._error(f"unexpected {token.text!r}", token.at)
        if token.text not in self._functions and token.text in _NOT_HERE:
            raise self._unsupported(f"the function {token.text!r}", token.at)
        if token.text not in self._functions:
            raise self._error(f"function {token.text!r} not defined", token.at)
        return nodes.Call(token.text, token.at)

    def _number(self, token: Token) -> int | float:
        plain = token.text.replace("_", "")
        try:
            return int(plain, 0)
        except ValueError:
            pass
        try:
            value = float(plain)
        except ValueError as error:
            raise self._error(f"bad number {token.text!r}", token.at) from error
        return value
