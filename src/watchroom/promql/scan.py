r"""Rewrites of the query text that spare promql-parser what it gets wrong.

Three things are taken out before parsing and put back afterwards:

- the number of ``@``: the bindings panic on one before 1970 (PanicException is not an
  Exception), so the parser sees an index instead;
- strings with byte escapes, which the bindings read as characters and Go as bytes, and
  those with ``\Q``, which the regular expressions of Rust do not know;
- numbers, which are read as Go reads them: ``1_000`` is one, ``010`` is 8, ``1e999`` is
  refused.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from watchroom.errors import ConfigError, QuerySyntaxError
from watchroom.units import parse_duration

_TOKEN = re.compile(
    r"""
    (?P<comment>\#[^\n]*)
  | (?P<string>"(?:[^"\\]++|\\.)*+"|'(?:[^'\\]++|\\.)*+'|`[^`]*+`)
  | (?P<open>["'`].*+)
  | (?P<at>@\s*(?P<sign>[-+]?)\s*
      (?P<time>0[xX][0-9a-fA-F_]+|[0-9.][0-9a-zA-Z_.]*(?:(?<=[eE])[-+][0-9_]+)?
        |[iI][nN][fF]\b|[nN][aA][nN]\b))
  | (?P<word>[a-zA-Z_:][a-zA-Z0-9_:.]*)
  | (?P<number>0[xX][0-9a-fA-F_]+|\.?[0-9][0-9a-zA-Z_.]*(?:(?<=[eE])[-+][0-9_]+)?)
  | (?P<space>\s+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_HIDDEN = re.compile(r"\\(?:x[89a-fA-F][0-9a-fA-F]|[23][0-7]{2}|Q)")
_INTEGER = re.compile(r"0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*")
_ALONE = re.compile(r"_(?![0-9a-fA-F])")
_FLOAT = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))",
    re.DOTALL,
)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
# A private-use character that no real label or pattern begins with.
_MARK = "\uf8ff"
# What an int64 of milliseconds can hold, as Prometheus checks it.
_MAX_SECONDS = (2**63 - 1) / 1000


class ScannedQuery(NamedTuple):
    """Text that the parser can read, and what was taken out of it."""

    text: str
    times: tuple[int, ...]
    strings: tuple[str, ...]

    def restore(self, value: str) -> str:
        """Return the string that was written where the parser saw `value`."""
        if value.startswith(_MARK) and value[1:].isdecimal():
            return self.strings[int(value[1:])]
        return value


def _milliseconds(sign: str, written: str) -> int:
    text = written.replace("_", "")
    try:
        hexadecimal = text[:2] in {"0x", "0X"}
        seconds = float(int(text, 16)) if hexadecimal else float(text)
    except ValueError:
        try:
            seconds = parse_duration(text)
        except ConfigError as error:
            raise QuerySyntaxError(f"bad time after @: {written!r}") from error
    if math.isnan(seconds) or abs(seconds) >= _MAX_SECONDS:
        raise QuerySyntaxError(f"timestamp out of bounds for @ modifier: {sign}{text}")
    # Go rounds half away from zero.
    milliseconds = math.floor(seconds * 1000 + 0.5)
    return -milliseconds if sign == "-" else milliseconds


def unescape(quoted: str) -> str:
    """Return the string of a Go literal; bytes that are not UTF-8 become surrogates."""
    body = quoted[1:-1]
    if quoted[0] == "`":
        return body

    def replace(match: re.Match[str]) -> str:
        two, three, four, eight, simple = match.groups()
        if two or three:
            code = int(two, 16) if two else int(three, 8)
            # A Latin-1 character holds the byte until all bytes are joined below.
            return chr(0xDC00 + code) if code > 127 else chr(code)
        if four or eight:
            return chr(int(four or eight, 16))
        return chr(_SIMPLE[simple]) if simple in _SIMPLE else simple

    raw = _ESCAPE.sub(replace, body).encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "surrogateescape")


def number(written: str) -> str:
    """Return a number as Go reads it, written so that the parser reads the same.

    What is neither an integer nor a float, a duration for one, comes back as it is.

    Raises:
        QuerySyntaxError: It is out of a float's range, or its underscores separate no
            digits.
    """
    if _ALONE.search(written):
        raise QuerySyntaxError(f"bad number or duration syntax: {written!r}")
    written = written.replace("_", "")
    if _INTEGER.fullmatch(written):
        octal = written[0] == "0" and written.isdecimal()
        value = int(written, 8 if octal else 0)
        if value < 2**63:  # else Go reads it again, as a float
            return repr(float(value))
    if _FLOAT.fullmatch(written) and math.isinf(float(written)):
        raise QuerySyntaxError(f"error parsing number: {written} is out of range")
    return written


def scan(query: str) -> ScannedQuery:
    """Return `query` in a form that promql-parser reads as Prometheus would.

    Raises:
        QuerySyntaxError: The time of an ``@`` or a number does not parse.
    """
    parts: list[str] = []
    times: list[int] = []
    strings: list[str] = []
    for token in _TOKEN.finditer(query):
        text = token.group()
        kind = token.lastgroup
        if token["at"] is not None:
            parts.append(f"@ {len(times)}")
            times.append(_milliseconds(token["sign"], token["time"]))
        elif kind == "number":
            parts.append(number(text))
        elif kind == "string" and _HIDDEN.search(text):
            parts.append(f'"{_MARK}{len(strings)}"')
            strings.append(unescape(text))
        else:
            parts.append(text)
    return ScannedQuery("".join(parts), tuple(times), tuple(strings))
