"""Secrets within sentences, and what only looks like one: code, messages."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from watchroom.redact.names import spoken, tells
from watchroom.redact.patterns import compiled
from watchroom.redact.shapes import EVERYDAY, QUOTED, replaced, unlike_words

if TYPE_CHECKING:
    from watchroom.redact.shapes import Hides

# Words that follow a password in a sentence.
_STOP = frozenset(
    (
        *(
            "a",
            "accepted",
            "after",
            "again",
            "and",
            "as",
            "at",
            "before",
            "by",
            "dbname",
        ),
        *(
            "expired",
            "failed",
            "failure",
            "for",
            "from",
            "has",
            "host",
            "in",
            "instead",
        ),
        *("into", "invalid", "is", "not", "of", "ok", "on", "or", "port", "rejected"),
        *("sent", "set", "so", "sslmode", "that", "the", "then", "this", "to", "user"),
        *("via", "was", "when", "which", "with"),
    )
)
_MORE_DIGITS = compiled(r"(?:[ ()/.-]{1,2}\d{1,14}){1,8}(?![\w=:])")
_WORD = compiled(r"[ \t]{1,2}([^\s,;&)}\]\"'<>|=:\[]{1,64})(?=[\s,;.&)}\]\"'<>|]|$)")


def hide(text: str, hides: Hides, mark: str) -> str:
    """Return `text` without secrets in its sentences: "the password is x"."""

    def in_words(at: re.Match[str]) -> str:
        value = at["v"] if at["v"] is not None else at["bare"].rstrip(".!?")
        if _short(at["name"]):
            if not re.fullmatch(r"[\d-]{3,10}", value):
                return at[0]
        elif tells(value) or not (
            (at["v"] is not None and EVERYDAY.fullmatch(value) is None)
            or unlike_words(value)
            or _odd(value)
        ):
            return at[0]
        tail = "" if at["v"] is not None else at["bare"][len(value) :]
        return replaced(at, mark) + tail

    def beside(at: re.Match[str]) -> str:
        if at["v"] is not None:
            hidden = unlike_words(at["v"])
        elif _short(at["name"]):
            hidden = re.fullmatch(r"\d{4,8}", at["bare"]) is not None
        else:
            least = 16 if at["name"].lower().startswith("session") else 8
            small = re.search("[a-z]", at["bare"]) is not None
            hidden = small and unlike_words(at["bare"], least)
        return replaced(at, mark) if hidden else at[0]

    def directive(at: re.Match[str]) -> str:
        name = at["name"]
        looks_secret = "_" in name or "-" in name or name.lower().endswith("epass")
        value = at["v"] if at["v"] is not None else at["bare"]
        if not (looks_secret and unlike_words(value) and hides(at["name"], value)):
            return at[0]
        return replaced(at, mark)

    spoken, near, directives = _sentences()
    text = near.sub(beside, spoken.sub(in_words, text))
    return directives.sub(directive, text)


def _short(name: str) -> bool:
    """Return whether secrets of this name are a few digits."""
    return (
        name.lower()[:3] in {"pin", "otp", "tan", "cvv", "cvc"}
        or name.lower().endswith((" code", " pin"))
        or name.lower().startswith("one")
    )


def _odd(value: str) -> bool:
    """Return whether a text has signs in the middle that words have not."""
    return len(value) >= 6 and re.search(r"\w[!#$%&*+@^~]+\w", value) is not None


@cache
def _sentences() -> tuple[re.Pattern[str], ...]:
    name = rf"\b(?P<name>{spoken()})\b[\"'`]?"
    bare = r"(?P<bare>[^\s\"'`“\[,;:=)]"
    return (
        re.compile(
            rf"(?P<open>{name}(?:\s(?:for|of)\s[^\s:=]{{1,64}})?"
            r"(?:\s{1,2}(?:(?:is|was|are|has been|will be|ist|lautet|est|es)"
            r"(?:\s(?:now|(?:re)?set to|changed to)|:)?|now|(?:re)?set to|changed to"
            r"|became|equals|->|=>)\s{1,2}"
            r"|(?:\s(?:rejected|refused|expired|invalid|received|given|sent|used))?"
            r"\s{0,2}[:=]\s{0,2}))"
            rf"(?:{QUOTED}|(?P<bare>[^\s\"'`\[,;)]{{3,512}}))",
            re.IGNORECASE,
        ),
        re.compile(
            rf"(?P<open>\b(?P<name>{spoken()}|session(?: key| id)?)"
            r"(?:\s|[ \t]{1,8}|[ \t]?\|[ \t]?))"
            rf"(?:{QUOTED}|{bare}{{4,512}}))(?![:=])",
            re.IGNORECASE,
        ),
        # "DB_PASSWORD x", as servers and shells are configured
        re.compile(
            r"(?P<open>(?<![\w-])(?=[\w-]{0,48}(?:pass|secret|token|key|pwd|credential))"
            r"(?P<name>\w[\w-]{2,63})[ \t]{1,4})"
            rf"(?:{QUOTED}|{bare}{{6,512}}))(?![:=])",
            re.IGNORECASE,
        ),
    )


def special(text: str, at: int) -> tuple[int, int] | None:
    """Return where a value of YAML's own kinds or in angles begins and ends.

    An end of 0 means that the value is still to come, after a tag or an anchor.
    """
    sign = text[at : at + 1]
    if sign not in _SPECIAL or not sign:
        return None
    block = _block().match(text, at)
    if block is not None:
        begins = block.start("value")
        return (at if begins < 0 else begins), block.end()
    tag = _tag().match(text, at)
    return None if tag is None else (tag.end(), 0)


_SPECIAL = frozenset("|>!&<")


@cache
def _block() -> re.Pattern[str]:
    return re.compile(
        r"[|>][+-]?\d?[ \t]{0,4}\n[ \t]{1,32}"
        r"(?P<value>[^\n]{1,4096}(?:\n[ \t]{1,32}[^\n]{1,4096}){0,64})"
        r"|<[^<>\n]{1,256}>"
    )


@cache
def _tag() -> re.Pattern[str]:
    return re.compile(r"(?:!{1,2}[\w/]{0,32}|&\w{1,32})[ \t]{1,4}")


def call(text: str, at: int) -> re.Match[str] | None:
    """Return the beginning of a call, such as ``SecretStr(``, if one is here."""
    return _call().match(text, at)


@cache
def _call() -> re.Pattern[str]:
    # A dot, a capital or an underscore in its name: "hunter(2" is a password.
    return re.compile(
        r"(?=\w{0,48}[._A-Z])[A-Za-z_][\w.]{0,128}[(\[]|(?:str|get|int)\("
    )


def code(value: str) -> bool:
    """Return whether a call of code has names and words in it, and no value."""
    if len(value) > _LONGEST_CALL or _call().match(value) is None:
        return False
    return not any(
        unlike_words(argument.strip("'\"bfr"))
        or not re.fullmatch(r"b?[\"'][\w. :*[\]-]{0,64}[\"']|\w{1,64}", argument)
        for argument in _WORDS_OF_CODE.findall(value)
    )


_LONGEST_CALL = 512
_WORDS_OF_CODE = compiled(r"b?\"[^\"\n]{0,512}\"|b?'[^'\n]{0,512}'|\w{1,512}")


@cache
def _clause() -> re.Pattern[str]:
    return re.compile(
        r"[A-Z][a-z']{1,15} (?:is|are|has|have|was|were|to|not|for|must|cannot|could"
        r"|object|required|expired|of|from)\b"
    )


def clause(text: str, at: int) -> re.Match[str] | None:
    """Return the beginning of a sentence, "Token is invalid", if one is here."""
    return _clause().match(text, at)


def complaints(text: str, start: int, end: int) -> bool:
    """Return whether a list here has only validators' messages."""
    return _complaints().fullmatch(text, start, end) is not None


@cache
def _complaints() -> re.Pattern[str]:
    word = r"[^\W\d_]{1,24}(?:['\u2019-][^\W\d_]{1,24})?"
    sentence = rf"[A-Z][^\W\d_]{{0,24}}(?:[,:;]? (?:{word}|\d{{1,3}})){{2,30}}[.!]"
    return re.compile(
        rf"\[(?:\s?(?:ErrorDetail\(string=)?([\"']){sentence}\1"
        rf"(?:, code='\w{{1,40}}'\))?,?){{1,8}}\]"
    )


def number(text: str, start: int, end: int) -> int:
    """Return where a number ends that has blanks in it, such as a telephone's."""
    if not text[end - 1 : end].isdecimal() or text[start:end].strip("+0123456789()"):
        return end
    more = _MORE_DIGITS.match(text, end)
    return end if more is None else more.end()


def tail(text: str, end: int) -> int:
    """Return where a password that began before `end` may end: it may have blanks."""
    for _ in range(8):
        word = _WORD.match(text, end)
        if word is None or word[1].lower() in _STOP or word[1].startswith("-"):
            break
        end = word.end()
    return end
