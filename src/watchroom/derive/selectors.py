"""The selectors of an expression: which there are, and how to narrow each of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from watchroom.errors import ConfigError, QueryError
from watchroom.promql.parse import parse
from watchroom.promql.syntax import Selector, selectors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TOKEN = re.compile(
    r"""
    (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
  | (?P<comment>\#[^\n]*)
  | (?P<range>\[[^\]]*\])
  | (?P<number>\d[\w.]*(?:[eE][+-]?\d+)?)
  | (?P<word>[a-zA-Z_:][\w:]*)
  | (?P<space>\s+)
  | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_WORDS = {"and", "or", "unless", "offset", "bool", "inf", "nan", "atan2"}


def names(expr: str, where: str) -> list[Selector]:
    """Return the selectors of `expr`.

    Raises:
        ConfigError: `expr` is not PromQL that we can evaluate.
    """
    try:
        tree = parse(expr)
    except QueryError as error:
        raise ConfigError(f"{where}: {error}") from None
    return list(selectors(tree))


def narrow(expr: str, extra: Callable[[str], str], where: str) -> str:
    """Return `expr` with matchers added to each of its selectors.

    Args:
        expr: PromQL.
        extra: The matchers for a metric's name, as text: ``team="shop"``, or nothing.
        where: What an error calls it.

    Raises:
        ConfigError: `expr` does not parse, or a selector names no metric while there
            is something to add.
    """
    before = names(expr, where)
    expected = []
    for selector in before:
        more = extra(selector.metric)
        # With a name before it: a negative matcher alone isn't a selector.
        added = names(f"up{{{more}}}", where)[0].matchers if more else ()
        new = {matcher for matcher in added if matcher.name != "__name__"}
        expected.append({*selector.matchers, *new})
    narrowed = "".join(_rewritten(expr, extra))
    after = [set(selector.matchers) for selector in names(narrowed, where)]
    if after != expected:
        # The scanner below and the parser disagree: better no file than a wrong one.
        raise ConfigError(
            f"{where}: can't add matchers to {expr!r}",
            hint="write each metric's name before its braces: metric{…}",
        )
    return narrowed


def _rewritten(expr: str, extra: Callable[[str], str]) -> Iterator[str]:
    tokens = [(m.lastgroup or "", m[0]) for m in _TOKEN.finditer(expr)]
    at = 0
    while at < len(tokens):
        kind, text = tokens[at]
        if kind != "word":
            # Braces without a name before them are left alone, and found out above.
            end = _close(tokens, at, "}") if text == "{" else at
            yield "".join(t for _, t in tokens[at : end + 1])
            at = end + 1
            continue
        following = _next(tokens, at + 1)
        sign = tokens[following][1] if following < len(tokens) else ""
        lower = text.lower()
        if lower in _GROUPING:
            end = _close(tokens, following, ")") if sign == "(" else at
            yield "".join(t for _, t in tokens[at : end + 1])
            at = end + 1
        elif lower in _WORDS or sign == "(" or sign.lower() in {"by", "without"}:
            yield text
            at += 1
        elif sign == "{":
            end = _close(tokens, following, "}")
            inner = "".join(t for _, t in tokens[following + 1 : end]).strip()
            more = extra(text)
            both = ",".join(part for part in (inner.rstrip(","), more) if part)
            yield f"{text}{{{both}}}"
            at = end + 1
        else:
            more = extra(text)
            yield f"{text}{{{more}}}" if more else text
            at += 1


def _next(tokens: list[tuple[str, str]], at: int) -> int:
    while at < len(tokens) and tokens[at][0] in {"space", "comment"}:
        at += 1
    return at


def _close(tokens: list[tuple[str, str]], at: int, sign: str) -> int:
    while at < len(tokens) and tokens[at] != ("sign", sign):
        at += 1
    return at
