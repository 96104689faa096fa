"""From a template's text to tokens: texts, and the words between ``{{`` and ``}}``."""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from watchroom.errors import ConfigError

_SPACE = " \t\r\n"
_WORD = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<string>"(?:[^"\\\n]|\\.)*")
  | (?P<raw>`[^`]*`)
  | (?P<char>'(?:[^'\\\n]|\\.[^']*)')
  | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+
              |(?:\d[\d_]*)?\.?\d[\d_]*(?:[eE][+-]?\d+)?\.?))
  | (?P<field>\.[^\W\d]\w*)
  | (?P<variable>\$\w*)
  | (?P<declare>:=)
  | (?P<assign>=)
  | (?P<pipe>\|)
  | (?P<comma>,)
  | (?P<open>\()
  | (?P<close>\))
  | (?P<dot>\.)
  | (?P<name>[^\W\d]\w*)
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)")
_SIMPLE = dict(zip("abfnrtv\\\"'", "\a\b\f\n\r\t\v\\\"'", strict=True))


class Token(NamedTuple):
    """One piece; `kind` is a group of the pattern above, ``text`` or ``end``."""

    kind: str
    text: str
    at: int


class TemplateSyntaxError(ConfigError):
    """A template that this subset cannot read: what, and at which line and column.

    Attributes:
        unsupported: Prometheus reads it.
    """

    def __init__(self, message: str, text: str, at: int) -> None:
        row = text.count("\n", 0, at) + 1
        column = at - (text.rfind("\n", 0, at) + 1) + 1
        super().__init__(f"template, line {row}, column {column}: {message}")
        self.position = (row, column)
        self.unsupported = False


def unquote(quoted: str, text: str, at: int) -> str:
    """Return the string that a Go literal (with its quotes) means."""
    if quoted[0] == "`":
        return quoted[1:-1].replace("\r", "")

    def replace(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] in "xuU":
            value = int(code[1:], 16)
            if value > sys.maxunicode:
                raise TemplateSyntaxError(f"unknown escape \\{code}", text, at)
            return chr(value)
        if code[0] in "01234567" and len(code) == 3:
            return chr(int(code, 8))
        if code not in _SIMPLE:
            raise TemplateSyntaxError(f"unknown escape \\{code}", text, at)
        return _SIMPLE[code]

    return _ESCAPE.sub(replace, quoted[1:-1])


def tokens(text: str) -> list[list[Token]]:
    """Return texts (lists of one token) and actions (their words and an ``end``).

    Raises:
        TemplateSyntaxError: An action or a comment does not close, or a token is wrong.
    """
    pieces: list[list[Token]] = []
    position = 0
    trim = False
    while True:
        start = text.find("{{", position)
        stop = len(text) if start < 0 else start
        piece = text[position:stop]
        if trim:
            piece = piece.lstrip(_SPACE)
        inner = start + 2
        if (
            start >= 0
            and text[inner : inner + 1] == "-"
            and text[inner + 1 :][:1] in _SPACE
        ):
            piece = piece.rstrip(_SPACE)
            inner += 1
        if piece:
            pieces.append([Token("text", piece, position)])
        if start < 0:
            return pieces
        # As in Go: at once behind the braces, or one blank behind a dash.
        blank = text[inner - 1] == "-" and text[inner : inner + 1] in _SPACE
        comment = re.compile(r"/\*").match(text, inner + blank)
        if comment:
            position, trim = _comment(text, start, comment.end())
        else:
            action, position, trim = _action_tokens(text, start, inner)
            pieces.append(action)


def _comment(text: str, start: int, position: int) -> tuple[int, bool]:
    close = text.find("*/", position)
    if close < 0:
        raise TemplateSyntaxError("unclosed comment", text, start)
    end = re.compile(r"([ \t\r\n]-)?\}\}").match(text, close + 2)
    if end is None:
        raise TemplateSyntaxError("comment ends before closing delimiter", text, start)
    return end.end(), bool(end[1])


def _action_tokens(
    text: str, start: int, position: int
) -> tuple[list[Token], int, bool]:
    """Return the words of the action at `start`, where it ends, whether it trims."""
    tokens: list[Token] = []
    while True:
        if text.startswith("}}", position):
            tokens.append(Token("end", "}}", position))
            return tokens, position + 2, False
        if text.startswith("-}}", position) and text[position - 1] in _SPACE:
            tokens.append(Token("end", "}}", position))
            return tokens, position + 3, True
        match = _WORD.match(text, position)
        if match is None:
            if position >= len(text):
                raise TemplateSyntaxError("unclosed action", text, start)
            raise TemplateSyntaxError(
                f"unexpected {text[position]!r} in action", text, position
            )
        kind = match.lastgroup or ""
        # `a.b` is a chain, `a .b` two words: the space is a word of its own.
        tokens.append(Token(kind, match[0], position))
        position = match.end()
