"""A quick look at a text: may `watchroom.redact` find anything in it?

Says yes too often, never no too often: what no pattern of `Redactor.text` can match
without is looked for here, by the cheapest means there are.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from watchroom.redact import vendors
from watchroom.redact.names import spoken
from watchroom.redact.patterns import compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

# Small letters, digits as 0; and without what parts digits.
_SMALL = bytes.maketrans(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789", b"abcdefghijklmnopqrstuvwxyz000000000"
)
_PARTING = b" -._/\t"
_BLANKS = compiled("[\u00a0\u2007\u2009\u202f\u2010-\u2014]")
# Searched for one by one: ten times as fast as one pattern of them all (measured).
_ANYWHERE = (
    *("@", "?", "bearer", "basic", "token", "</", ")=(", "private", "000-00-0000"),
    *("input_value=", "valid choice. ", "&", "%0", "\\u", "\\x", "$$"),
)
# Only of what has a colon, or an equals sign.
_WITH_COLON = (
    "value:",
    "parameters: ",
    "json data",
    "data remains: ",
    "string format: ",
)
_WITH_EQUALS = ("digest ", "oauth ")
_LONG_NUMBER = 13 * "0"
_ACCOUNT = compiled(r"(?:(?<![a-z0])|(?<=iban))[a-z]{2}00[ .\t-]?[a-z0]{2}")
_ANY_DIGIT = compiled(r"\d")
# Only of what is quoted, or in brackets.
_QUOTING = (
    *("duplicate", "dup key", "args=", "params=", "copy ", "is not ", "does not match"),
    *(
        "is too ",
        "value must",
        "value has",
        "has too",
        "already exists",
        "is invalid",
        "invalid ",
    ),
    *("incorrect ", "could not convert", "time data", "field value", "malformed"),
    *("out of range", "select", "insert", "update", "delete", "identified", "alter"),
    *("create", "value'", 'value"', "value\\", "keyvalue", "near ", "params = ("),
    *("generated in", "cached since", "no key", "raw sql", "dialect", "converting the"),
    *("truncated", "input'", 'input"', "invalid pk", "a number but", "on instance"),
    *(
        "header value",
        "must match",
        "doesn't)",
        "unexpected",
        "replace",
        "merge",
        "call ",
        "exec ",
        "execute ",
    ),
    *(),
    *(
        "failing row",
        "fehlgeschlagene zeile",
        "chec contient (",
        "fila que falla",
        "riga in errore",
        "registro que falhou",
        "(got ",
        "word(",
        "phrase(",
        "code(",
        "secret(",
        "_pin(",
        "_token(",
        "str(",
        "<key",
        "name=",
        "set pass",
    ),
)
_SPOKEN = (
    *(
        "pass",
        "pwd",
        "wort",
        "secret",
        "key",
        "credential",
        "pin",
        "otp",
        "one",
        "code",
    ),
    *("contrase", "senha", "wachtwoord", "tan", "session"),
)
_SPOKEN_SHORT = ("cvv", "cvc", "ssn")
# The shortest key that a vendor made recognisable.
_SHORTEST_KEY = 16
# Read backwards from a colon or an equals sign; what may part them is as in the
# redactor's _NAMED.
_WORD_BACKWARDS = compiled(r"[\s\"'`*!<\\\]]{0,16}([\w.-]{1,64})")
_PROGRAMS = compiled(
    r"mysql|mariadb|sshpass|redis-|valkey|ldap|login|curl|wget|http|xh|smbclient"
    r"|rpcclient|net|zip|0z|rar|mongo|openssl|htpasswd|user(?:add|mod)|upload|publish"
)


def folded(text: str) -> bytes:
    """Return a text in small letters, its digits as 0: what `shaped` needs of it."""
    if not text.isascii():  # patterns take a long s, a Kelvin sign, other digits
        text = _BLANKS.sub("", _ANY_DIGIT.sub("0", text.casefold()))
    return text.encode("utf-8", "replace").translate(_SMALL)


def shaped(form: bytes) -> bool:
    """Return whether a text, `folded`, may hold a secret by its shape alone."""
    # As text again, which is searched in half the time that bytes are.
    plain = form.decode("latin-1")
    for word in _ANYWHERE:
        if word in plain:
            return True
    if ":" in plain and any(word in plain for word in _WITH_COLON):
        return True
    if "=" in plain and any(word in plain for word in _WITH_EQUALS):
        return True
    joined = form.translate(None, _PARTING).decode("latin-1")
    if "00000000" in joined and (_LONG_NUMBER in joined or _ACCOUNT.search(plain)):
        return True
    return _worded(plain) or _keyed(form)


def _worded(plain: str) -> bool:
    """Return whether words here may hide a secret: a sentence, an error, a command."""
    # Curly quotes and others begin with â, read as Latin-1.
    if "'" in plain or '"' in plain or "(" in plain or "\xe2" in plain:
        for word in _QUOTING:
            if word in plain:
                return True
    if (" -" in plain or "'-" in plain or '"-' in plain) and _PROGRAMS.search(plain):
        return True
    for word in _SPOKEN:
        if word in plain:
            return _sentences().search(plain) is not None
    return any(word in plain for word in _SPOKEN_SHORT)


def _keyed(form: bytes) -> bool:
    keys = vendors.folded_pattern()
    for word in form.split():
        if len(word) >= _SHORTEST_KEY and keys.search(word.decode("latin-1")):
            return True
    return False


@cache
def _sentences() -> re.Pattern[str]:
    # Bytes of UTF-8 stand for letters that are not ASCII.
    names = spoken().replace("ñ", "\xc3\xb1")
    return re.compile(
        rf"(?<![a-z])(?:{names}|session)(?![a-z])"
        r"|[_-]\w{0,64}(?:pass|pwd|secret|key|credential)"
        r"|(?:pass|pwd|secret|key|credential)\w{0,64}[_-]|epass"
    )


def names(text: str) -> Iterator[str]:
    """Yield what is before a colon or an equals sign, in pairs, and options' names."""
    if "->" in text or "→" in text:
        text = text.replace("->", ":").replace("→", ":")
    for part in text.replace("=", ":").split(":")[:-1]:
        name = _WORD_BACKWARDS.match(part[-80:][::-1])
        if name is not None:
            yield name[1][::-1]
    if "'" in text or '"' in text:
        for pair in _pair().finditer(text):
            yield pair[1]
    if " -" in text or "set " in text or "'-" in text or '"-' in text:
        for option in _option().finditer(text):
            yield option[1]


@cache
def _pair() -> re.Pattern[str]:
    return re.compile(
        r"[\"'](-{0,2}[A-Za-z_][\w .-]{0,63})\\{0,3}[\"'](?:\s{0,2},|\s{1,4}value)"
    )


@cache
def _option() -> re.Pattern[str]:
    return re.compile(r"(?:(?<![\w-])--?|\bset )([A-Za-z][\w-]{2,63})")
