"""Takes secrets out of what is about to be written: by name, by shape, by value.

Never raises, and never takes longer than its limits allow: every pattern repeats a
bounded number of times, every walk has a depth and a number of nodes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from watchroom.redact import errors, numbers, sentences, shapes, suspicion, vendors
from watchroom.redact.names import Rank, flat, hides, rank
from watchroom.redact.patterns import compiled
from watchroom.redact.walk import MAX_TEXT, REDACTED, Limits, Walk, safe_text

if TYPE_CHECKING:
    from collections.abc import Iterable

# Shorter values are words of the language, not secrets.
_SHORTEST_VALUE, _SHORTEST_MIXED = 8, 6
_MIXED = compiled(r"(?=.*[A-Za-z]).*\d", re.DOTALL)
_KNOWN_NAMES = 4096
_LONGEST_CALL = 512
# Half a MiB each at most.
_KNOWN_CLEAN = 1024
_LONGEST_CLEAN = 256

# Not "guest:**@", which is masked already.
_USERINFO = compiled(r"(?<=://)(?![^\s\"'<>:@/]{0,64}:\*{2,16}@)[^\s\"'<>]{0,512}@")
# Not "pkg@1.2.3", whose last part is a number, nor "git@host.example:team/repo.git",
# nor "logo@2x.png" and "user@1000.service".
_EMAIL = compiled(
    r"(?<![\w.%+-])[\w.%+-]{1,64}(?:@|%40)(?:[\w-]{1,63}\.){1,6}"
    r"(?!(?:css|gif|gz|html?|jpe?g|js|json|png|scope|service|slice|socket|svg|timer|toml"
    r"|txt|webp|whl|woff2?|ya?ml)(?![\w-]))[^\W\d_][\w-]{1,62}"
    r"(?![\w-])(?!\.\w)(?!:[\w.~-]{0,128}/)"
)
_QUERY = compiled(r"(?<=[^\s?])\?([^\s\"'<>?]{1,4096})")
_QUERY_VALUE = compiled(r"=[^&;]*")
_CREDENTIALS = compiled(
    r"(?i:\b(basic|bearer|token))(\s{1,4})"
    r"(?=[^\s\"',;]{0,512}[A-Z0-9=])([A-Za-z0-9._~+/=-]{8,4096})"
)
_HEADER = compiled(
    r"(?i)\b((?:proxy[-_])?authorization|(?:set[-_])?cookie)"
    r"(\\{0,3}[\"']?\s{0,4}[:=]\s{0,4}\\{0,3}[\"']?)[^\n\"'\\]{1,8192}"
)
_SCHEMES = compiled(r"\b(Digest|OAuth)(\s{1,4})(?=\w{1,32}=)[^\n]{1,4096}")
_NAMED = compiled(
    r"(?<!\w)(\d{0,3}[^\W\d][\w.-]{0,63})\\{0,3}(?:[\"'`]|\*{1,2})?\]?\s{0,4}"
    r"(?:=>|->|→|:=|[!=]?={1,2}|:)\s{0,4}"
)
_VALUE = compiled(
    r"(?:b?(\\{0,3}(?:\"{3}|'{3}|[\"'`]))(?P<quoted>(?:(?!\1)(?:\\.|[^\\])){0,8192})"
    r"|(?P<bare>[^\s,;&)}\]\"'<>]{1,4096}))",
    re.DOTALL,
)
_OPENING = frozenset("{[(")
_BRACKET = compiled(r"[{}\[\]()]")
# PostgreSQL names columns and values so: "Key (lower(name), 5)=(…) already exists".
_KEY_IS = compiled(r"\)=\(([^\n]{1,4096})\)")
_NAMES = compiled(r"\w{1,64}")
_NUMBERS = compiled(r"[\d, -]{1,64}")
_KEY_BLOCK = compiled(
    r"Private-Lines: \d{1,4}(?:(?!Private-MAC)[^-]){0,8192}(?:Private-MAC: \w{0,128})?"
    r"|-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY[A-Z ]{0,16}-----[^-]{0,8192}"
    r"(?:-----END[A-Z0-9 -]{0,64})?"
)
_PHRASES = frozenset(("password", "passphrase", "passwd", "pwd", "pass", "secret"))


class Redactor:
    """Knows a project's secrets: more names, and values that must not be seen anywhere.

    Attributes:
        names: Names that are secret beside the usual ones, in any spelling.
        values: Secrets themselves (a database's password, SECRET_KEY), to be taken out
            of any text; those too short to be told from words are left out.
    """

    def __init__(self, names: Iterable[str] = (), values: Iterable[str] = ()) -> None:
        self.names = frozenset(flat(name) for name in names)
        self.values = tuple(
            sorted(
                filter(_unlike_words, set(values)),
                key=len,
                reverse=True,
            )
        )
        self._known: dict[str, tuple[str, Rank]] = {}
        self._clean: set[str] = set()
        self._forms: set[bytes] = set()

    def secret(self, name: str) -> bool:
        """Return whether values of this name may be secret."""
        return self._rank(name)[1] > Rank.NONE

    def hides(self, name: str, value: object) -> bool:
        """Return whether a value of this name is to be hidden.

        ``password=required`` mentions a secret and isn't one. For weaker names, such as
        `session`, short words and numbers below 1,000 stay visible too.
        """
        flatted, rank = self._rank(name)
        if rank is Rank.NONE or value is None:
            return False
        if isinstance(value, bool):
            return rank is Rank.OWN
        if isinstance(value, str | int):
            return hides(flatted, rank, safe_text(value))
        return True

    def text(self, text: str) -> str:
        """Return `text` without the secrets that its shape gives away.

        Credentials and all query values in URLs, ``Authorization`` and cookies, values
        whose name is secret (``name=value``, ``"name": value``, pairs, tags, options of
        commands, "the password is x"), keys of vendors, e-mail addresses, numbers of
        cards, bank accounts and US social security, and what databases and validators
        quote in their errors.
        """
        for value in self.values:
            if value in text:
                text = text.replace(value, REDACTED)
        text = self._marked(text)
        if "=" in text or ":" in text:
            text = _HEADER.sub(rf"\1\2{REDACTED}", text)
            text = self._pairs(text)
            text = _KEY_IS.sub(self._key, text)
            text = _SCHEMES.sub(rf"\1\2{REDACTED}", text)
        text = _CREDENTIALS.sub(_credential, text)
        text = _KEY_BLOCK.sub(REDACTED, text)
        text = vendors.pattern().sub(REDACTED, text)
        text = numbers.hide(text, REDACTED)
        if "'" in text or '"' in text or "$$" in text:
            text = errors.statements(text, REDACTED)
        return sentences.hide(text, self.hides, REDACTED)

    def _marked(self, text: str) -> str:
        """Return `text` without what signs give away: an @, a ?, tags, quotes."""
        if "@" in text or "%40" in text:
            text = _USERINFO.sub(f"{REDACTED}@", text)
            text = _EMAIL.sub(REDACTED, text)
        if "?" in text:
            text = _QUERY.sub(_without_values, text)
        if "</" in text or "&lt;/" in text:
            text = shapes.markup(text, self.hides, REDACTED)
        if "&" in text or "%" in text or "\\u" in text:
            text = shapes.encoded(text, self.hides, REDACTED)
        quoted = "'" in text or '"' in text
        if quoted or "value" in text:
            text = shapes.pairs(text, self.hides, REDACTED)
        if " -" in text or "set " in text or "'-" in text or '"-' in text:
            text = shapes.commands(text, self.hides, REDACTED)
        return errors.hide(text, REDACTED)

    def suspects_any(self, texts: list[str]) -> bool:
        """Return whether any of these is suspect, remembering those that are not.

        Routes, methods, agents and most messages come again with each line; paths and
        addresses come again but for their digits (measured).
        """
        clean = self._clean
        new = [text for text in texts if text not in clean]
        if not new:
            return False
        joined = "\n".join(new)
        if any(value in joined for value in self.values) or any(map(self._odd, new)):
            return True
        if len(clean) >= _KNOWN_CLEAN:  # what comes again is soon back
            clean.clear()
        clean.update([text for text in new if len(text) <= _LONGEST_CLEAN])
        return False

    def _odd(self, text: str) -> bool:
        form = suspicion.folded(text)
        if form in self._forms:
            return False
        names = list(suspicion.names(text))
        if suspicion.shaped(form) or any(map(self.secret, names)):
            return True
        # Names are read in their own letters and digits.
        if not names and len(form) <= _LONGEST_CLEAN:
            if len(self._forms) >= _KNOWN_CLEAN:
                self._forms.clear()
            self._forms.add(form)
        return False

    def _rank(self, name: str) -> tuple[str, Rank]:
        known = self._known.get(name)
        if known is None:
            flatted = flat(name[:256])
            own = self._own(flatted)
            known = flatted, Rank.OWN if own else rank(flatted)
            if len(self._known) < _KNOWN_NAMES:
                self._known[name] = known
        return known

    def _own(self, flatted: str) -> bool:
        joined = flatted.replace("_", "")
        for name in self.names:
            short = name.replace("_", "")
            if f"_{name}_" in f"_{flatted}_" or (len(short) > 4 and short in joined):
                return True
        return False

    def _pairs(self, text: str) -> str:
        parts: list[str] = []
        done = 0
        for name in _NAMED.finditer(text):
            if name.start() < done or not self.secret(name[1]):
                continue
            start, end = _value(text, name.end())
            if start == end or text.startswith(REDACTED, start):
                continue
            if not self.hides(name[1], text[start:end]):
                continue
            if text[start] == "[" and sentences.complaints(text, start, end):
                continue
            if start == name.end():  # without quotes
                phrase = flat(name[1]) in _PHRASES
                if self._phrase_tells(name[1], text, start, end, phrase=phrase):
                    continue
                end = sentences.number(text, start, end)
                if phrase:
                    end = sentences.tail(text, end)
            parts += (text[done:start], REDACTED)
            done = end
        return "".join((*parts, text[done:])) if parts else text

    def _phrase_tells(
        self, name: str, text: str, start: int, end: int, *, phrase: bool
    ) -> bool:
        """Return whether an unquoted value only mentions a secret, as code does."""
        value = text[start:end]
        if value == name or (value.isidentifier() and "_" in value):
            return self.secret(value)
        return sentences.code(value) or (
            not phrase and sentences.clause(text, start) is not None
        )

    def _key(self, at: re.Match[str]) -> str:
        """Hide the values of ``Key (email)=(a@b.example)``, but for plain numbers."""
        before = at.string[max(0, at.start() - 256) : at.start()].rpartition("\n")[2]
        known = any(map(self.secret, _NAMES.findall(before)[-8:]))
        if not known and _NUMBERS.fullmatch(at[1]):
            return at[0]
        return f")=({REDACTED})"

    def plain(self, value: Any, limits: Limits | None = None) -> Any:
        """Return `value` as JSON has it: bounded, without secrets, whatever it is.

        Keys become text, numbers that JSON has not become null or text, cycles and
        what lies too deep a word, an object that cannot be told the name of its class.
        """
        return Walk(self, limits or Limits()).plain(value, 0)


def _unlike_words(value: str) -> bool:
    least = _SHORTEST_MIXED if _MIXED.match(value) else _SHORTEST_VALUE
    return len(value) >= least


def _value(text: str, at: int) -> tuple[int, int]:
    """Return where the value after a name begins and ends."""
    special = sentences.special(text, at)
    if special is not None:
        begins, ends = special
        if ends:
            return begins, ends
        at = begins
    call = sentences.call(text, at)
    if call is not None:
        end = _closed(text, call.end() - 1, _LONGEST_CALL)
        if end is not None:
            return at, end
    if text[at : at + 1] in _OPENING:
        end = _closed(text, at, MAX_TEXT)
        return at, len(text) if end is None else end
    match = _VALUE.match(text, at)
    return (at, at) if match is None else match.span(match.lastgroup or 0)


def _closed(text: str, at: int, most: int) -> int | None:
    """Return where the bracket here is closed, or None when it is not."""
    depth = 0
    for bracket in _BRACKET.finditer(text, at, at + most):
        depth += 1 if bracket[0] in _OPENING else -1
        if not depth:
            return bracket.end()
    return None


def _without_values(query: re.Match[str]) -> str:
    before = query.string[max(0, query.start() - 512) : query.start()].split()
    query_text = query[1]
    if "=" in query_text:
        return "?" + _QUERY_VALUE.sub(f"={REDACTED}", query_text)
    if len(query_text) >= _SHORTEST_MIXED and before and "/" in before[-1]:
        return f"?{REDACTED}"
    return query[0]


def _credential(at: re.Match[str]) -> str:
    """Hide what follows ``Bearer``; after ``token`` no short word in capitals."""
    value = at[3]
    if at[1].lower() == "token" and len(value) < 12 and value == value.upper():
        return at[0]
    return f"{at[1]}{at[2]}{REDACTED}"
