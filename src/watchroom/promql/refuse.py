"""What a text is that the parser did not read: not PromQL, or PromQL we refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from watchroom.errors import QuerySyntaxError, UnsupportedError
from watchroom.promql import bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODIFIERS = {
    "anchored": "the anchored modifier is not supported",
    "smoothed": "the smoothed modifier is not supported",
    "trim_lower": "trim_lower is not supported: native histograms",
    "trim_upper": "trim_upper is not supported: native histograms",
    "</": "</ is not supported: native histograms",
    ">/": ">/ is not supported: native histograms",
}
_ARITHMETIC = (
    "arithmetic in durations is not supported: write the duration itself, for example "
    "[6m] instead of [5m + 1m]"
)
_FUNCTIONS = frozenset({"step", "range", "min_of", "max_of"})
_COMPUTES = _FUNCTIONS | frozenset("()+-*/%^")
_DURATION = re.compile(r"[0-9.][0-9a-zA-Z_.]*")


def refusal(query: str, reason: str) -> QuerySyntaxError | UnsupportedError:
    """Return the error for `query`, which the parser refused for `reason`."""
    tokens = bounds.tokens(query)
    for first, second in zip(tokens, [*tokens[1:], ""], strict=False):
        found = _MODIFIERS.get(first) or _MODIFIERS.get(first + second)
        if found is not None:
            return UnsupportedError(found)
    for length in _lengths(tokens):
        if len(length) == 2 and length[0] == "-" and _DURATION.fullmatch(length[1]):
            return QuerySyntaxError("duration must be greater than 0")
        if any(token in _COMPUTES for token in length):
            return UnsupportedError(_ARITHMETIC)
    if _computed_offset(tokens):
        return UnsupportedError(_ARITHMETIC)
    return QuerySyntaxError(f"{reason} in {query[:200]!r}")


def _lengths(tokens: Sequence[str]) -> list[list[str]]:
    """Return what stands in each pair of square brackets, by the colons in it."""
    found: list[list[str]] = []
    inside = False
    for text in tokens:
        if text == "[":
            found.append([])
        elif inside and text.startswith(":"):
            found.append([text[1:]] if len(text) > 1 else [])
        elif inside and text != "]":
            found[-1].append(text)
        inside = text == "[" or (inside and text != "]")
    return [length for length in found if length]


def _computed_offset(tokens: Sequence[str]) -> bool:
    for at, token in enumerate(tokens):
        if token.lower() == "offset" and at:
            rest = [each for each in tokens[at + 1 : at + 3] if each not in {"-", "+"}]
            if rest[:1] and rest[0] in {"(", *_FUNCTIONS}:
                return True
    return False
