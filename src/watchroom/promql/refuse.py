"""What a text is that the parser did not read: not PromQL, or PromQL we refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from watchroom.errors import QuerySyntaxError, UnsupportedError
from watchroom.promql import bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


def refusal(
    query: str, reason: str, reads: Callable[[str], bool]
) -> QuerySyntaxError | UnsupportedError:
    """Return the error for `query`, which the parser refused for `reason`.

    It is not supported if `reads` the text without what we know not to be.
    """
    tokens = bounds.tokens(query)
    if any(_below_zero(length) for length in _lengths(tokens)):
        return QuerySyntaxError("duration must be greater than 0")
    plain, feature = _without(tokens)
    if feature and reads(" ".join(plain)):
        return UnsupportedError(feature)
    return QuerySyntaxError(f"{reason} in {query[:200]!r}")


def _without(tokens: Sequence[str]) -> tuple[list[str], str]:
    """Return `tokens` with what is not supported taken out, and what it was."""
    plain: list[str] = []
    feature, at = "", 0
    while at < len(tokens):
        text = tokens[at]
        pair = text + tokens[at + 1] if at + 1 < len(tokens) else ""
        if text in _MODIFIERS and plain:
            feature = _MODIFIERS[text]
            plain += ["+"] if text.startswith("trim") else []
            at += 1
        elif pair in _MODIFIERS:
            feature = _MODIFIERS[pair]
            plain.append("+")
            at += 2
        elif text == "[":
            end = _end(tokens, at)
            inside = tokens[at + 1 : end - 1]
            if any(each in _COMPUTES for each in inside):
                feature = _ARITHMETIC
                steps = any(each.startswith(":") for each in inside)
                plain += ["[", "5m", ":" if steps else "", "]"]
            else:
                plain += tokens[at:end]
            at = end
        elif text.lower() == "offset" and _computed(tokens[at + 1 : at + 4]):
            feature = _ARITHMETIC
            plain += ["offset", "5m"]
            at = _end(tokens, tokens.index("(", at))
        else:
            plain.append(text)
            at += 1
    return plain, feature


def _end(tokens: Sequence[str], start: int) -> int:
    """Return the place after the bracket that closes the one at `start`."""
    depth = 0
    for at in range(start, len(tokens)):
        depth += (tokens[at] in "([{") - (tokens[at] in ")]}")
        if depth == 0:
            return at + 1
    return len(tokens)


def _computed(following: Sequence[str]) -> bool:
    """Return whether an offset is followed by brackets, a sign before them or not."""
    rest = [each for each in following if each not in {"-", "+"}]
    return rest[:1] == ["("] or (rest[1:2] == ["("] and rest[0] in _FUNCTIONS)


def _below_zero(length: Sequence[str]) -> bool:
    return len(length) == 2 and length[0] == "-" and bool(_DURATION.match(length[1]))


def _lengths(tokens: Sequence[str]) -> list[list[str]]:
    """Return the contents of each pair of square brackets, split at colons."""
    lengths: list[list[str]] = []
    inside = False
    for text in tokens:
        if text == "[":
            lengths.append([])
        elif inside and text.startswith(":"):
            lengths.append([text[1:]] if len(text) > 1 else [])
        elif inside and text != "]":
            lengths[-1].append(text)
        inside = text == "[" or (inside and text != "]")
    return [length for length in lengths if length]
