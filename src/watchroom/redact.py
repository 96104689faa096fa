"""Takes secrets out of what is about to be written: by name, by shape, by value.

Never raises, and never takes longer than its limits allow: every pattern repeats a
bounded number of times, every walk has a depth and a number of nodes.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from watchroom import suspicion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

REDACTED = "[redacted]"
CIRCULAR = "[circular]"
LEFT_OUT = "[left out]"
MAX_DEPTH = 8
MAX_ITEMS = 100
MAX_NODES = 1000
MAX_TEXT = 8192
MAX_CHARS = 65536
# Shorter values are words of the language, not secrets.
_SHORTEST_VALUE = 8
_KNOWN_NAMES = 4096
# Half a MiB at most.
_KNOWN_CLEAN = 1024
_LONGEST_CLEAN = 256
_SCALARS = frozenset((str, int, float, bool, type(None)))

# Whole words of a name, after "X-Api-Key" and "apiKey" have become "x_api_key".
_WORDS = (
    "auth|authorization|bearer|card|cookies?|credentials?|csrf|cvc|cvv|dsn|iban|jwt|otp"
    "|pan|pass|passwd|passphrase|password|pin|pwd|secrets?|session|sessionid"
    "|set_cookie|signature|sid|ssn|token|(?:access|api|auth|encryption|license|private"
    "|secret|session|sign|signing|ssh)_keys?|(?:account|card|card_holder)_number"
    "|(?:http|url)_(?:fragment|query)|query_string"
)
_NAME = re.compile(
    rf"(?:^|_)(?:{_WORDS})(?:_|$)|passw|secret|token$|apikey|authoriz|creditcard"
    r"|privatekey|accesskey"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[^a-z0-9]+")

_USERINFO = re.compile(r"(?<=://)[^\s\"'<>]{0,512}@")
_EMAIL = re.compile(r"(?<![\w.%+-])[\w.%+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,6}")
_QUERY = re.compile(r"(?<=[^\s?])\?([^\s\"'<>?]{1,4096})")
_QUERY_VALUE = re.compile(r"=[^&;]*")
_CREDENTIALS = re.compile(
    r"(?i:\b(basic|bearer|token))(\s{1,4})"
    r"(?=[^\s\"',;]{0,512}[A-Z0-9=])([A-Za-z0-9._~+/=-]{8,4096})"
)
_HEADER = re.compile(
    r"(?i)\b((?:proxy[-_])?authorization|(?:set[-_])?cookie)"
    r"(\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}\\{0,3}[\"']?)[^\n\"'\\]{1,8192}"
)
_NAMED = re.compile(
    r"(?<!\w)([A-Za-z_][\w.-]{0,63})\\{0,3}[\"']?\]?\s{0,4}(?:=>|[:=])\s{0,4}"
)
_VALUE = re.compile(
    r"(?:b?(\\{0,3}[\"'])(?P<quoted>(?:(?!\1)(?:\\.|[^\\])){0,8192})"
    r"|(?P<bare>[^\s,;&)}\]\"'<>]{1,4096}))",
    re.DOTALL,
)
_OPENING = frozenset("{[(")
_BRACKET = re.compile(r"[{}\[\]()]")
_KEY_IS = re.compile(r"\)=\([^)]{1,4096}\)")  # PostgreSQL: Key (email)=(a@b.example)
_KNOWN = re.compile(
    r"\b[spr]k_live_\w{8,256}|\bgh[pousr]_\w{20,256}|\bxox[a-z]-[\w-]{10,256}"
    r"|\bAKIA[0-9A-Z]{16}|\beyJ[\w-]{8,1024}\.[\w-]{2,4096}\.[\w-]{0,4096}"
    r"|\bSG\.[\w-]{16,64}\.[\w-]{16,128}"
    r"|-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^-]{0,8192}(?:-----END[A-Z -]{0,64})?"
)
_DIGITS = re.compile(r"(?<!\d)[2-6](?:[ -]?\d){12,18}(?!\d)")

# Of an object of this name only these headers are shown: services put keys into any.
_HEADERS = ("headers", "request.meta")
_TELLING = frozenset(
    (
        *("accept", "accept-encoding", "accept-language", "cache-control"),
        *("connection", "content-encoding", "content-length", "content-type", "date"),
        *("dnt", "host", "if-modified-since", "if-none-match", "origin", "range"),
        *("referer", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site", "te"),
        *("traceparent", "transfer-encoding", "upgrade", "user-agent", "vary"),
        *("x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-request-id"),
    )
)


class Redactor:
    """Knows a project's secrets: more names, and values that must not be seen anywhere.

    Attributes:
        names: Names that are secret beside the usual ones, in any spelling.
        values: Secrets themselves (a database's password, SECRET_KEY), to be taken out
            of any text; those too short to be told from words are left out.
    """

    def __init__(self, names: Iterable[str] = (), values: Iterable[str] = ()) -> None:
        self.names = frozenset(_flat(name) for name in names)
        self.values = tuple(
            sorted(
                {one for one in values if len(one) >= _SHORTEST_VALUE},
                key=len,
                reverse=True,
            )
        )
        self._known: dict[str, bool] = {}
        self._clean: set[str] = set()

    def secret(self, name: str) -> bool:
        """Return whether what is called so is nobody's business."""
        known = self._known.get(name)
        if known is None:
            flat = _flat(name[:256])
            known = _NAME.search(flat) is not None or self._own(flat)
            if len(self._known) < _KNOWN_NAMES:
                self._known[name] = known
        return known

    def text(self, text: str) -> str:
        """Return `text` without the secrets that its shape gives away.

        Credentials and all query values in URLs, ``Authorization`` and cookies, values
        of ``name=value`` and ``"name": value`` whose name is secret, tokens of known
        form, e-mail addresses, card numbers (by Luhn's sum).
        """
        for value in self.values:
            if value in text:
                text = text.replace(value, REDACTED)
        if "@" in text:
            text = _USERINFO.sub(f"{REDACTED}@", text)
            text = _EMAIL.sub(REDACTED, text)
        if "?" in text:
            text = _QUERY.sub(_without_values, text)
        if "=" in text or ":" in text:
            text = _HEADER.sub(rf"\1\2{REDACTED}", text)
            text = self._pairs(text)
            text = _KEY_IS.sub(f")=({REDACTED})", text)
        text = _CREDENTIALS.sub(rf"\1\2{REDACTED}", text)
        text = _KNOWN.sub(REDACTED, text)
        return _DIGITS.sub(_card, text)

    def suspects(self, text: str) -> bool:
        """Return whether the method `text` may find anything here; quickly."""
        return (
            suspicion.shaped(text)
            or any(value in text for value in self.values)
            or any(map(self.secret, suspicion.names(text)))
        )

    def suspects_any(self, texts: list[str]) -> bool:
        """Return whether any of these is suspect, remembering those that are not.

        Routes, methods, agents and most messages come again with each line: five such
        texts are looked up in 0.3 µs and looked through in 4.6 (measured).
        """
        clean = self._clean
        new = [one for one in texts if one not in clean]
        if not new:
            return False
        if self.suspects("\n".join(new)):
            return True
        if len(clean) >= _KNOWN_CLEAN:  # what comes again is soon back
            clean.clear()
        clean.update([one for one in new if len(one) <= _LONGEST_CLEAN])
        return False

    def _own(self, flat: str) -> bool:
        joined = flat.replace("_", "")
        for name in self.names:
            short = name.replace("_", "")
            if f"_{name}_" in f"_{flat}_" or (len(short) > 4 and short in joined):
                return True
        return False

    def _pairs(self, text: str) -> str:
        parts: list[str] = []
        done = 0
        for name in _NAMED.finditer(text):
            if name.start() < done or not self.secret(name[1]):
                continue
            start, end = _value(text, name.end())
            if start == end:
                continue
            if text.startswith(REDACTED, start):
                continue
            parts += (text[done:start], REDACTED)
            done = end
        return "".join((*parts, text[done:])) if parts else text

    def plain(self, value: Any, limits: Limits | None = None) -> Any:
        """Return `value` as JSON has it: bounded, without secrets, whatever it is.

        Keys become text, numbers that JSON has not become null or text, cycles and
        what lies too deep a word, an object that cannot be told the name of its class.
        """
        walk = _Walk(self, limits or Limits())
        return walk.plain(value, 0)


class Limits:
    """How far a walk goes.

    Attributes:
        depth: Containers inside containers.
        items: Entries of one container.
        nodes: Values in all.
        text: Characters of one text.
        chars: Characters of all texts.
        keep: Names whose scalars stay as they are: ids that are known to be no secret.
        first: What each text goes through before.
    """

    __slots__ = ("chars", "depth", "first", "items", "keep", "nodes", "text")

    def __init__(
        self,
        depth: int = MAX_DEPTH,
        items: int = MAX_ITEMS,
        nodes: int = MAX_NODES,
        text: int = MAX_TEXT,
        chars: int = MAX_CHARS,
        keep: frozenset[str] = frozenset(),
        first: Callable[[str], str] | None = None,
    ) -> None:
        self.depth, self.items, self.nodes = depth, items, nodes
        self.text, self.chars, self.keep, self.first = text, chars, keep, first


def clip(text: str, most: int) -> str:
    """Return `text` cut to `most` characters, saying how many are missing."""
    if len(text) <= most:
        return text
    head = most * 3 // 4
    tail = most - head
    gap = f" [{len(text) - most} characters left out] "
    return text[:head] + gap + text[len(text) - tail :]


def speakable(text: str) -> str:
    r"""Return `text` with what UTF-8 cannot carry written as ``\udXXX``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def told(value: object) -> str:
    """Return ``str(value)``, or what stands for it when that raises."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - somebody else's __str__
        return f"[{_class(value)}: its text raised {_class(error)}]"


class _Walk:
    def __init__(self, redactor: Redactor, limits: Limits) -> None:
        self._redactor = redactor
        self._limits = limits
        self._left = limits.nodes
        self._chars = limits.chars
        self._above: set[int] = set()

    def plain(self, value: Any, depth: int) -> Any:  # noqa: PLR0911 - one per kind
        self._left -= 1
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self._text(value)
        if isinstance(value, int):
            number = int(value)
            return number if -(1 << 63) <= number < 1 << 63 else _digits(number)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else None
        if isinstance(value, str):
            return self._text(str.__str__(value))
        if isinstance(value, bytes | bytearray):
            return self._text(
                bytes(value[: self._limits.text + 1]).decode(
                    "utf-8", "backslashreplace"
                )
            )
        if isinstance(value, dict | list | tuple | set | frozenset):
            return self._container(value, depth)
        return self._text(told(value))

    def _text(self, text: str) -> str:
        if self._chars <= 0:
            return LEFT_OUT
        text = clip(text, min(self._limits.text, self._chars))
        self._chars -= len(text)
        if self._limits.first is not None:
            text = self._limits.first(text)
        return speakable(self._redactor.text(text))

    def _container(self, value: Any, depth: int) -> Any:
        if id(value) in self._above:
            return CIRCULAR
        if depth >= self._limits.depth or self._left <= 0:
            return LEFT_OUT
        self._above.add(id(value))
        try:
            # A copy: another thread may be changing it.
            if isinstance(value, dict):
                return self._dict(list(value.items()), depth)
            return self._list(list(value), depth)
        except Exception as error:  # noqa: BLE001 - a container of somebody's own making
            return f"[{_class(value)}: reading it raised {_class(error)}]"
        finally:
            self._above.discard(id(value))

    def _dict(self, pairs: list[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs[: self._limits.items]:
            name = self._text(key if type(key) is str else told(key))[:256]
            if self._left <= 0:
                break
            if name in self._limits.keep and type(value) in _SCALARS:
                found[name] = value
            elif self._redactor.secret(name):
                found[name] = REDACTED if value is not None else None
            elif isinstance(value, dict) and name.lower().endswith(_HEADERS):
                found[name] = self.plain(_known_headers(value), depth + 1)
            else:
                found[name] = self.plain(value, depth + 1)
        if len(pairs) > len(found):
            found["[left out]"] = len(pairs) - len(found)
        return found

    def _list(self, values: list[Any], depth: int) -> list[Any]:
        found: list[Any] = []
        for value in values[: self._limits.items]:
            if self._left <= 0:
                break
            found.append(self.plain(value, depth + 1))
        if len(values) > len(found):
            found.append(f"[{len(values) - len(found)} left out]")
        return found


def telling(header: object) -> bool:
    """Return whether a header of this name is known to hold no secret."""
    return told(header).lower().replace("_", "-") in _TELLING


def _known_headers(headers: dict[Any, Any]) -> dict[Any, Any]:
    """Return headers with the values of those only that are known to hold no secret."""
    return {
        name: value if telling(name) else REDACTED
        for name, value in list(headers.items())[:MAX_ITEMS]
    }


def _flat(name: str) -> str:
    return _NOT_WORD.sub("_", _CAMEL.sub("_", name).lower()).strip("_")


def _value(text: str, at: int) -> tuple[int, int]:
    """Return where the value after a name begins and ends."""
    if text[at : at + 1] in _OPENING:
        depth = 0
        for bracket in _BRACKET.finditer(text, at, at + MAX_TEXT):
            depth += 1 if bracket[0] in _OPENING else -1
            if not depth:
                return at, bracket.end()
        return at, len(text)
    found = _VALUE.match(text, at)
    return (at, at) if found is None else found.span(found.lastgroup or 0)


def _without_values(query: re.Match[str]) -> str:
    before = query.string[max(0, query.start() - 512) : query.start()].split()
    words = query[1]
    if "=" in words:
        return "?" + _QUERY_VALUE.sub(f"={REDACTED}", words)
    if before and "/" in before[-1]:
        return f"?{REDACTED}"
    return query[0]


def _card(digits: re.Match[str]) -> str:
    numbers = [int(one) for one in digits[0] if one.isdecimal()]
    twice = [2 * one - 9 * (one > 4) for one in numbers[-2::-2]]
    return digits[0] if (sum(numbers[::-2]) + sum(twice)) % 10 else REDACTED


def _digits(number: int) -> str:
    try:
        return str(number)
    except ValueError:  # more digits than Python turns into text
        return f"[a number of {number.bit_length()} bits]"


def _class(value: object) -> str:
    return type(value).__name__
