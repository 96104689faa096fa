"""Takes secrets out of what is about to be written: by name, by shape, by value.

Never raises, and never takes longer than its limits allow: every pattern repeats a
bounded number of times, every walk has a depth and a number of nodes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from watchroom import suspicion
from watchroom.redact.walk import MAX_TEXT, REDACTED, Limits, Walk

if TYPE_CHECKING:
    from collections.abc import Iterable

# Shorter values are words of the language, not secrets.
_SHORTEST_VALUE, _SHORTEST_MIXED = 8, 6
_MIXED = re.compile(r"(?=.*[A-Za-z]).*\d", re.DOTALL)
_KNOWN_NAMES = 4096
# Half a MiB at most.
_KNOWN_CLEAN = 1024
_LONGEST_CLEAN = 256

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
    r"\b[spr]k_(?:live|test)_\w{8,256}|\bgh[pousr]_\w{20,256}|\bxox[a-z]-[\w-]{10,256}"
    r"|\bAKIA[0-9A-Z]{16}|\beyJ[\w-]{8,1024}\.[\w-]{2,4096}\.[\w-]{0,4096}"
    r"|\bSG\.[\w-]{16,64}\.[\w-]{16,128}"
    r"|-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^-]{0,8192}(?:-----END[A-Z -]{0,64})?"
)
_DIGITS = re.compile(r"(?<!\d)[2-6](?:[ -]?\d){12,18}(?!\d)")


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
                filter(_unlike_words, set(values)),
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
        return Walk(self, limits or Limits()).plain(value, 0)


def _unlike_words(value: str) -> bool:
    least = _SHORTEST_MIXED if _MIXED.match(value) else _SHORTEST_VALUE
    return len(value) >= least


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
