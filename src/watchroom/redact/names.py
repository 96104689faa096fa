"""Which names call a secret, and which values of them are none."""

from __future__ import annotations

import re
from enum import IntEnum
from functools import cache


class Rank(IntEnum):
    """How much a name says of its value.

    Attributes:
        NONE: Nothing.
        WEAK: A word of everyday use (``pin``, ``session``): short words and numbers
            below 1,000 are no secrets.
        STRONG: A secret, unless the value only tells of it (``required``, ``None``).
        OWN: The project says that it is a secret, whatever it is.
    """

    NONE = 0
    WEAK = 1
    STRONG = 2
    OWN = 3


# Whole words of a name, after "X-Api-Key" and "apiKey" have become "x_api_key".
_STRONG = (
    "authorization|bearer|card_?holder(?:_name)?|cookies?|credentials?|cvc|cvv|dsn"
    "|iban|jwt|pass|passphrase|pwd|secrets?|sessionid|set_cookie|ssn|token|user_?name"
    "|(?:access|api|auth|encryption|license|private|secret|session|sign|signing|ssh"
    "|storage|account|shared)_keys?|(?:account|card)_number|mobile_number|msisdn"
    "|phone(?:_number)?|telephone"
    # German, Spanish, French, Portuguese, Dutch, Polish, Swedish, Finnish, Russian
    "|kennwort|contrasena|contraseña|mot_de_passe|motdepasse|senha|wachtwoord|haslo"
    "|hasło|losenord|lösenord|salasana|пароль"
)
_WEAK = (
    "auth|card|csrf|otp|pan|pin|session|sid|signature|(?:http|url)_(?:fragment|query)"
    "|query_string"
)
_STRONG_NAME = re.compile(
    rf"(?:^|_)(?:{_STRONG})(?:_|$)|passw|secret(?!ar)|token$|apikey"
    r"|authori[sz]ation|creditcard|privatekey|accesskey|accountkey"
)
_WEAK_NAME = re.compile(rf"(?:^|_)(?:{_WEAK})(?:_|$)")
# "token_count", "cookie_consent", "no_password": told of a secret, and none itself.
_ABOUT = re.compile(
    r"_(?:age|algorithm|at|attempts|changed|consent|count|counts|created|date|dir"
    r"|disabled|enabled|errors|exists|expired|expires|expiry|failed|file|format|hits"
    r"|index|invalid|len|length|level|limit|max|method|min|misses|missing|ms|ok|on|path"
    r"|policy|position|present|ratio|required|retries|revoked|rotated|scheme|seconds"
    r"|seen|set|size|state|status|strength|timeout|total|ttl|type|types|updated|usage"
    r"|used|valid|validators|verified|version)$"
    r"|^(?:has|is|max|min|needs|no|num|requires|with|without)_"
)
_NUMBERED = re.compile(r"(?:_id|_ids|_pk)$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = re.compile(r"[\W_]+")
_TELLING = frozenset(
    (
        *("", "-", "?", "bad", "changed", "disabled", "empty", "enabled", "expired"),
        *("false", "invalid", "missing", "n/a", "nan", "nil", "no", "none", "not"),
        *("null", "off", "ok", "on", "optional", "redacted", "required", "revoked"),
        *("set", "true", "undefined", "unknown", "unset", "valid", "wrong", "yes"),
        *("[filtered]", "[redacted]", "<hidden>", "<redacted>", "<secret>"),
    )
)
_MASKED = re.compile(r"[*•x.]{3,}", re.IGNORECASE)
_EVERYDAY = re.compile(r"[a-z]{1,12}|[A-Z][a-z]{1,11}|\d{1,3}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d\b.{0,24}")
_SMALL = re.compile(r"\d{1,9}")
_OTHERS = {
    "pwd": re.compile(r"(?:[A-Za-z]:)?[/\\][\w./\\ -]*"),
    "pass": re.compile(r"\d{1,3}"),
}


def flat(name: str) -> str:
    """Return ``x_api_key`` for ``X-Api-Key`` and ``xApiKey``."""
    return _NOT_WORD.sub("_", _CAMEL.sub("_", name).lower()).strip("_")


def rank(name: str) -> Rank:
    """Return how much a name, as `flat` has it, says of its value."""
    strong = _STRONG_NAME.search(name) is not None
    if not strong and _WEAK_NAME.search(name) is None:
        return Rank.NONE
    if _ABOUT.search(name):
        return Rank.NONE
    return Rank.STRONG if strong else Rank.WEAK


def hides(name: str, found: Rank, value: str) -> bool:
    """Return whether a value is to be hidden, given its name and the name's rank.

    Args:
        name: As `flat` has it.
        found: The rank of the name.
        value: What is called so, as text, without its quotes.
    """
    if found in {Rank.NONE, Rank.OWN}:
        return found is Rank.OWN
    if value.casefold() in _TELLING or _MASKED.fullmatch(value):
        return False
    numbered = _NUMBERED.search(name) and _SMALL.fullmatch(value)
    # The shell's working directory; how many tests passed.
    other = _OTHERS.get(name)
    if numbered or (other is not None and other.fullmatch(value)):
        return False
    everyday = _EVERYDAY.fullmatch(value) or _DATE.fullmatch(value)
    return found is Rank.STRONG or not everyday


@cache
def spoken() -> str:
    """Return a pattern of names as people write them: ``api key``, ``password``."""
    return (
        r"pass(?:word|phrase|code|wd|wort)|kennwort|pwd|(?:client[ _-]?)?secret"
        r"|(?:access|api|auth|bearer|refresh|reset|session)[ _-]?(?:token|key)|token"
        r"|(?:private|secret|signing)[ _-]?key|credentials?|pin|otp|one[- ]time code"
        r"|cvv|cvc|ssn"
    )
