"""Label matchers in texts, as Alertmanager reads them: `severity="critical",team=ops`.

Alertmanager has two readers since 0.27: the old one, for names of ASCII letters, and
one for UTF-8. A text that only one of them takes is read by it; where both do, and
find something else, the old one counts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OLD = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.DOTALL)
_TOKEN = re.compile(
    r"""\s+
  | (?P<mark>[{},])
  | (?P<op>=~|!=|!~|=)
  | (?P<quoted>"(?:[^"\\]|\\.)*")
  | (?P<bare>[^\s{}!=~,\\"'`]+)
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})"
    r"|([abfnrtv\\\"]))|(\\|\n)",
    re.DOTALL,
)
_SIMPLE = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)) | {"\\": "\\", '"': '"'}


class Matcher(NamedTuple):
    """One parsed matcher: ``severity=~"critical|warning"``.

    Attributes:
        name: The label.
        op: ``=``, ``!=``, ``=~`` or ``!~``; regexes match the whole value.
        value: What it is compared with.
    """

    name: str
    op: str
    value: str


def parse(text: str) -> list[Matcher]:
    """Return the matchers in a text; they may be in braces, with commas between.

    Raises:
        ConfigError: They do not parse, or a regex does not compile.
    """
    matchers = _reading(text)
    for matcher in matchers:
        _check(matcher)
    return matchers


def parse_one(text: str) -> Matcher:
    """Return the one matcher in a text; a comma may be part of its value.

    Raises:
        ConfigError: As `parse`.
    """
    matcher = read_one(text)
    _check(matcher)
    return matcher


def read_one(text: str) -> Matcher:
    """Return the one matcher in a text, its regex unchecked: the server checks it.

    Raises:
        ConfigError: It does not parse.
    """
    try:
        matcher = _old_one(text)
    except ValueError:
        several = _reading(text)
        if len(several) != 1:
            raise _bad(text) from None
        (matcher,) = several
    return matcher


def _check(matcher: Matcher) -> None:
    if "~" in matcher.op:
        # Here, because a client that only reads matchers runs without RE2.
        from watchroom.formats import regexp

        regexp.check(matcher.value)


def _reading(text: str) -> list[Matcher]:
    try:
        return _old(text)
    except ValueError:
        pass
    try:
        return _utf8(text)
    except ValueError:
        raise _bad(text) from None


def _bad(text: str) -> ConfigError:
    return ConfigError(
        f"{text!r} isn't a matcher", hint='write it as severity="critical"'
    )


def _old(text: str) -> list[Matcher]:
    return [_old_one(part) for part in _parts(text.removeprefix("{").removesuffix("}"))]


def _parts(text: str) -> list[str]:
    parts, part, quoted, escaped = [], "", False, False
    for char in text:
        if char == "," and not quoted:
            parts.append(part)
            part = ""
            continue
        if char == '"':
            quoted = quoted if escaped else not quoted
            escaped = False
        else:
            escaped = char == "\\" and not escaped
        part += char
    return [*parts, part.strip()] if part.strip() else parts


def _old_one(text: str) -> Matcher:
    match = _OLD.fullmatch(text)
    if match is None:
        raise ValueError(text)
    name, op, raw = match.groups()
    quoted = raw.startswith('"')
    raw = raw.removeprefix('"')
    value, position, closed = "", 0, not quoted
    while position < len(raw):
        char, last = raw[position], position == len(raw) - 1
        if char == "\\" and not last:
            position += 1
            after = raw[position]
            plain = {"n": "\n", '"': '"', "\\": "\\"}
            value += plain.get(after, "\\" + after)
        elif char == '"':
            if closed or not last:
                raise ValueError(text)
            closed = True
        else:
            value += char
        position += 1
    if not closed:
        raise ValueError(text)
    return Matcher(name, op, value)


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(text)
        position = match.end()
        if match.lastgroup is not None:
            yield match.lastgroup, match[0]
    yield "end", ""


def _utf8(text: str) -> list[Matcher]:
    tokens = list(_tokens(text))
    braces = tokens[0] == ("mark", "{")
    if braces:
        tokens.pop(0)
    matchers: list[Matcher] = []
    while tokens[0][0] in {"quoted", "bare"}:
        (_, name), (op_kind, op), (kind, value), after, *_ = [*tokens, *[("", "")] * 3]
        if op_kind != "op" or kind not in {"quoted", "bare"}:
            raise ValueError(text)
        matchers.append(Matcher(_unquoted(name), op, _unquoted(value)))
        del tokens[:3]
        if after != ("mark", ","):
            break
        del tokens[0]
    if tokens != [*([("mark", "}")] if braces else []), ("end", "")]:
        raise ValueError(text)
    return matchers


def _unquoted(text: str) -> str:
    """Return a bare word, or what a quoted one means in Go."""
    if not text.startswith('"'):
        return text

    def replace(match: re.Match[str]) -> str:
        byte, octal, short, long, simple, wrong = match.groups()
        if wrong or (byte and int(byte, 16) > 127) or (octal and int(octal, 8) > 127):
            raise ValueError(text)
        if simple:
            return _SIMPLE[simple]
        code = int(octal, 8) if octal else int(byte or short or long, 16)
        if 0xD800 <= code <= 0xDFFF:  # half a character
            raise ValueError(text)
        return chr(code)

    return _ESCAPE.sub(replace, text[1:-1])
