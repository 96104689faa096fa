"""How large and how deep an expression may be, checked before any parser sees it.

A parser that recurses dies of a deep text: its stack overflows and takes the process
along. So every text that came from outside is counted here first, in one pass.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from watchroom.errors import QuerySyntaxError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BYTES = 65_536
MOST_LEVELS = 100
MOST_OPERATORS = 1_000

# No alternative can give characters back, so no text takes more than one pass; a string
# that nothing closes reaches to the end.
_TOKEN = re.compile(
    r"""
    (?P<skip>\s++|\#[^\n]*+)
  | (?P<operand>"(?:[^"\\]++|\\.)*+"?+|'(?:[^'\\]++|\\.)*+'?+|`[^`]*+`?+
      |0[xX][0-9a-fA-F_]++|(?:[0-9]|\.[0-9])[0-9a-zA-Z_.]*+(?:(?<=[eE])[-+][0-9_]++)?+)
  | (?P<word>[a-zA-Z_:][a-zA-Z0-9_:]*+)
  | (?P<open>[(\[{])
  | (?P<close>[)\]}])
  | (?P<sign>[-+])
  | (?P<power>\^)
  | (?P<matcher>=~|!~|=(?!=))
  | (?P<operator>[*/%]|[=!<>]=|[<>])
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
# After these a sign belongs to what follows.
_PREFIXES = frozenset({"bool", "offset"})


class _Depth:
    """How deep the text is at one place: brackets, and signs and powers in them.

    A sign or a power holds all that follows it, up to a comma, a bracket that closes
    or an operator that binds less.
    """

    def __init__(self) -> None:
        self._chains = [0]
        self.total = 0

    def open(self) -> None:
        self._chains.append(0)
        self.total += 1

    def close(self) -> None:
        if len(self._chains) > 1:
            self.total -= 1 + self._chains.pop()

    def hold(self) -> None:
        self._chains[-1] += 1
        self.total += 1

    def release(self) -> None:
        self.total -= self._chains[-1]
        self._chains[-1] = 0


def _levels(text: str) -> Iterator[tuple[int, int]]:
    """Yield depth and operators so far, at each token."""
    depth, operators, operand, brackets = _Depth(), 0, False, ""
    for token in _TOKEN.finditer(text):
        kind, value = token.lastgroup, token.group()
        if kind == "skip":
            continue
        if kind == "word":
            kind = "operator" if value.lower() in _OPERATORS else "operand"
        if kind == "sign" and operand:
            kind = "operator"
        if kind == "operator" and value == "!=" and brackets[-1:] == "{":
            kind = "matcher"
        operators += kind in {"operator", "sign", "power"}
        if kind in {"sign", "power"}:
            depth.hold()
        elif kind == "open":
            depth.open()
            brackets += value
        elif kind == "close":
            depth.close()
            brackets = brackets[:-1]
        elif kind == "operator" or value == ",":
            depth.release()
        operand = kind == "close" or (
            kind == "operand" and value.lower() not in _PREFIXES
        )
        yield depth.total, operators


def tokens(text: str) -> list[str]:
    """Return the words, numbers, strings and signs of a text, comments left out."""
    return [each.group() for each in _TOKEN.finditer(text) if each.lastgroup != "skip"]


def check(text: str) -> None:
    """Refuse an expression that is larger or deeper than any that people write.

    Raises:
        QuerySyntaxError: It has more bytes, levels or operators than are allowed; the
            message has the bound.
    """
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size > MOST_BYTES:
        raise QuerySyntaxError(
            f"the expression has {size} bytes, {MOST_BYTES} are allowed; split it into "
            "recording rules"
        )
    for levels, operators in _levels(text):
        if levels > MOST_LEVELS:
            raise QuerySyntaxError(
                f"the expression is nested in more than {MOST_LEVELS} levels of "
                "brackets, signs and ^; split it into recording rules"
            )
        if operators > MOST_OPERATORS:
            raise QuerySyntaxError(
                f"the expression has more than {MOST_OPERATORS} operators; split it "
                "into recording rules"
            )
