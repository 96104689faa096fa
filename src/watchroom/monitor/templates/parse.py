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
        self._words: list[Token] = []
        self._word = 0

    def parse(self) -> tuple[nodes.Node, ...]:
        """Return the tree.

        Raises:
            TemplateSyntaxError: Something is not of this subset, by name and position.
        """
        body, closer = self._body()
        if closer is not None:
            raise self._error(f"unexpected {{{{{closer.text}}}}}", closer.at)
        return body

    def _error(self, what: str, at: int) -> TemplateSyntaxError:
        return TemplateSyntaxError(what, self._text, at)

    def _unsupported(self, what: str, at: int) -> TemplateSyntaxError:
        error = self._error(f"{what} is not supported here", at)
        error.unsupported = True
        return error

    def _never(self, what: str, at: int) -> TemplateSyntaxError:
        """Return the error for what Go reads, and fails at whenever it expands it."""
        error = self._error(what, at)
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
        found: list[nodes.Node] = []
        while self._next < len(self._pieces):
            piece = self._pieces[self._next]
            self._next += 1
            if piece[0].kind == "text":
                found.append(nodes.Text(piece[0].text))
                continue
            self._words, self._word = piece, 0
            self._skip()
            word = self._peek()
            if word.kind == "name" and word.text in {"else", "end"}:
                return tuple(found), word
            found.append(self._node(word))
        return tuple(found), None

    def _node(self, word: Token) -> nodes.Node:
        if word.kind == "name" and word.text in _REFUSED:
            raise self._unsupported(f"{{{{{word.text}}}}}", word.at)
        if word.kind != "name" or word.text not in _KEYWORDS:
            pipeline = self._pipeline()
            self._finish()
            return nodes.Action(pipeline)
        self._word += 1
        if word.text in {"break", "continue"}:
            if not self._loops:
                raise self._error(f"{{{{{word.text}}}}} outside {{{{range}}}}", word.at)
            self._skip()
            self._finish()
            return nodes.Jump(word.text == "break")
        with self._deeper(word.at):
            return self._control(word)

    def _control(self, word: Token) -> nodes.Node:
        """Return an if, with or range whose keyword has just been read."""
        depth = len(self._scope)
        pipeline = self._pipeline(in_range=word.text == "range")
        self._finish()
        self._loops += word.text == "range"
        then, closer = self._body()
        self._loops -= word.text == "range"
        otherwise: tuple[nodes.Node, ...] = ()
        if closer is not None and closer.text == "else":
            otherwise, closer = self._else(word)
        if closer is None:
            raise self._error(f"{{{{{word.text}}}}} has no {{{{end}}}}", word.at)
        del self._scope[depth:]
        if word.text == "range":
            return nodes.RangeNode(pipeline, then, otherwise)
        return nodes.If(pipeline, then, otherwise, word.text == "with")

    def _else(self, opener: Token) -> tuple[tuple[nodes.Node, ...], Token | None]:
        self._word += 1
        self._skip()
        word = self._peek()
        if word.kind == "name" and word.text == opener.text and opener.text != "range":
            self._word += 1
            # The inner one's end is the outer one's too.
            with self._deeper(word.at):
                return (self._control(word),), word
        self._finish()
        return self._body()

    # Pipelines

    def _peek(self) -> Token:
        return self._words[self._word]

    def _skip(self) -> bool:
        """Skip spaces; return whether there were any."""
        spaces = False
        while self._peek().kind == "space":
            self._word += 1
            spaces = True
        return spaces

    def _finish(self) -> None:
        word = self._peek()
        if word.kind != "end":
            raise self._error(f"unexpected {word.text!r}", word.at)

    def _declarations(self, *, in_range: bool) -> tuple[tuple[str, ...], bool]:
        """Return the variables before ``:=`` or ``=``, and whether it assigns."""
        start = self._word
        names: list[Token] = []
        while self._peek().kind == "variable":
            names.append(self._peek())
            self._word += 1
            self._skip()
            word = self._peek()
            if word.kind == "comma" and in_range and len(names) == 1:
                self._word += 1
                self._skip()
                continue
            if word.kind not in {"declare", "assign"}:
                break
            self._word += 1
            assigns = word.kind == "assign"
            for name in names:
                if assigns and name.text not in self._scope:
                    raise self._never(f"undefined variable {name.text!r}", name.at)
            return tuple(name.text for name in names), assigns
        self._word = start
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
            word = self._peek()
            if word.kind == "pipe":
                self._word += 1
            elif word.kind == closer:
                break
            else:
                raise self._error(f"unexpected {word.text!r} in command", word.at)
        if not assigns:
            self._scope.extend(names)
        return nodes.Pipeline(names, assigns, tuple(commands), at)

    def _command(self, closer: str, *, first: bool) -> nodes.Command:
        words: list[nodes.Operand] = []
        at = self._peek().at
        while self._peek().kind not in {closer, "pipe", "end"}:
            words.append(self._operand())
            if not self._skip() and self._peek().kind not in {closer, "pipe", "end"}:
                word = self._peek()
                raise self._error(f"unexpected {word.text!r} in operand", word.at)
        if not words:
            fails = self._error if first else self._never
            raise fails("missing value for command", at)
        callee = words[0]
        if isinstance(callee, nodes.Literal) and callee.value is None:
            raise self._never("nil is not a command", at)
        if not isinstance(callee, nodes.Call) and (len(words) > 1 or not first):
            raise self._never("only a function takes arguments", at)
        return nodes.Command(tuple(words), at)

    def _operand(self) -> nodes.Operand:  # noqa: C901 - one case per token
        word = self._peek()
        self._word += 1
        found: nodes.Operand
        match word.kind:
            case "string" | "raw":
                found = nodes.Literal(unquote(word.text, self._text, word.at), word.at)
            case "char":
                code = ord(unquote(word.text, self._text, word.at)[:1] or "\0")
                found = nodes.Literal(code, word.at)
            case "number":
                found = nodes.Literal(self._number(word), word.at)
            case "variable":
                if word.text not in self._scope:
                    raise self._error(f"undefined variable {word.text!r}", word.at)
                return nodes.Variable(word.text, self._fields(), word.at)
            case "field":
                self._word -= 1
                return nodes.Field(self._fields(), word.at)
            case "dot":
                found = nodes.Dot(word.at)
            case "name":
                found = self._named(word)
            case "open":
                with self._deeper(word.at):
                    inner = self._pipeline(closer="close")
                self._word += 1
                names = self._fields()
                return nodes.Chain(inner, names, word.at) if names else inner
            case _:
                raise self._error(f"unexpected {word.text!r}", word.at)
        if self._peek().kind == "field":
            raise self._error(f"unexpected {self._peek().text!r}", self._peek().at)
        return found

    def _fields(self) -> tuple[str, ...]:
        names: list[str] = []
        while self._peek().kind == "field":
            names.append(self._peek().text[1:])
            self._word += 1
        return tuple(names)

    def _named(self, word: Token) -> nodes.Literal | nodes.Call:
        constants = {"true": True, "false": False, "nil": None}
        if word.text in constants:
            return nodes.Literal(constants[word.text], word.at)
        if word.text in _KEYWORDS | _REFUSED:
            raise self._error(f"unexpected {word.text!r}", word.at)
        if word.text not in self._functions and word.text in _NOT_HERE:
            raise self._unsupported(f"the function {word.text!r}", word.at)
        if word.text not in self._functions:
            raise self._error(f"function {word.text!r} not defined", word.at)
        return nodes.Call(word.text, word.at)

    def _number(self, word: Token) -> int | float:
        plain = word.text.replace("_", "")
        try:
            return int(plain, 0)
        except ValueError:
            pass
        try:
            value = float(plain)
        except ValueError as error:
            raise self._error(f"bad number {word.text!r}", word.at) from error
        return value
