"""The syntax tree of a template: tuples, each with the offset it was read at."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias


class Literal(NamedTuple):
    """A string, int, float, bool or nil written in the text."""

    value: str | int | float | bool | None
    at: int


class Dot(NamedTuple):
    """``.``."""

    at: int


class Field(NamedTuple):
    """``.a.b`` of the dot."""

    names: tuple[str, ...]
    at: int


class Variable(NamedTuple):
    """``$x.a.b``; the name holds its dollar."""

    name: str
    names: tuple[str, ...]
    at: int


class Chain(NamedTuple):
    """``(pipeline).a.b``."""

    inner: Pipeline
    names: tuple[str, ...]
    at: int


class Call(NamedTuple):
    """A function's name, alone or as the first word of a command."""

    name: str
    at: int


class Command(NamedTuple):
    """Words: an operand, or a function and its arguments."""

    operands: tuple[Operand, ...]
    at: int


class Pipeline(NamedTuple):
    """Commands joined by ``|``, and the variables that take the result."""

    declared: tuple[str, ...]
    assigns: bool
    commands: tuple[Command, ...]
    at: int


Operand: TypeAlias = Literal | Dot | Field | Variable | Chain | Call | Pipeline


class Text(NamedTuple):
    """What is copied."""

    text: str


class Action(NamedTuple):
    """``{{ pipeline }}``."""

    pipeline: Pipeline


class If(NamedTuple):
    """``{{ if }}`` or ``{{ with }}``: the latter moves the dot."""

    pipeline: Pipeline
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]
    moves_dot: bool


class RangeNode(NamedTuple):
    """``{{ range }}``."""

    pipeline: Pipeline
    body: tuple[Node, ...]
    otherwise: tuple[Node, ...]


class Jump(NamedTuple):
    """``{{ break }}`` or ``{{ continue }}``."""

    breaks: bool


Node: TypeAlias = Text | Action | If | RangeNode | Jump
