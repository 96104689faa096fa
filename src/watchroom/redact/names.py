"""Which names mark a secret, and which values of such names are harmless."""

from __future__ import annotations

import re
from enum import IntEnum
from functools import cache

from watchroom.redact.patterns import compiled


class Rank(IntEnum):
    """How secret a name makes its value.

    Attributes:
        NONE: Nothing.
        WEAK: A word of everyday use (``pin``, ``session``): short words and numbers
            below 1,000 are not secret.
        STRONG: A secret, unless the value is a placeholder (``required``, ``None``).
        OWN: The project names it as a secret, whatever it is.
    """

    NONE = 0
    WEAK = 1
    STRONG = 2
    OWN = 3


# Whole words of a name, after "X-Api-Key" and "apiKey" have become "x_api_key".
_STRONG = (
    "authorization|bearer|card_?holder(?:_name)?|cookies?|credentials?|cvc2?|cvv2?|dsn"
    "|iban|jwt|pass|passphrase|pwd|secrets?|sessionid|set_cookie|ssn|token|user_?name"
    "|(?:access|account|activation|aes|api|auth|client|consumer|deploy|encryption|fernet"
    "|hmac|license|master|private|secret|session|shared|sign|signing|ssh|storage|vault"
    ")_keys?"
    "|(?:activation|auth|authorization|backup|confirmation|invite|login|mfa|otp|recovery"
    "|security|sms|totp|verification)_codes?|pass_?codes?"
    "|(?:account|card|cc|credit_card|social_security)_(?:number|num|no)|tax_id"
    "|mobile_(?:number|phone)|msisdn|phone(?:_number)?|telephone"
    "|saml_?(?:request|response)|(?:client_)?assertion"
    "|(?:admin|bind|db|key|ldap|mail|require|root|smtp|store|user)pass"
    # German, Spanish, French, Portuguese, Dutch, Polish, Swedish, Finnish, Russian
    "|kennwort|contrasena|contraseña|mot_de_passe|motdepasse|senha|wachtwoord|haslo"
    "|hasło|losenord|lösenord|salasana|пароль"
)
_WEAK = (
    "auth|card|csrf|otp|pan|pin|session|sid|signature|(?:http|url)_(?:fragment|query)"
    "|query_string"
)
_STRONG_NAME = compiled(
    rf"(?:^|_)(?:{_STRONG})(?:_|$)|passw|secret(?!ar)|token$|apikey"
    r"|authori[sz]ation|creditcard|privatekey|accesskey|accountkey"
)
_WEAK_NAME = compiled(rf"(?:^|_)(?:{_WEAK})(?:_|$)")
# "token_count", "cookie_consent", "no_password": told of a secret, and none itself.
_ABOUT = compiled(
    r"_(?:age|algorithm|algorithms|angle|at|attempts|backend|backends|bits|brand|budget"
    r"|bytes|calls|changed|class|classes|column|consent|count|counts|country|created"
    r"|date|days|dir|disabled|domain|driver|duration|enabled|endpoint|engine|error"
    r"|errors|exception|exists|expired|expires|expiry|failed|field|field_name|fields"
    r"|file|form|format|generator|hasher|hashers|header|hits|hours|index|invalid|jar"
    r"|kind|label|last4|last_four|len|length|level|lifetime|limit|max|method|min|minutes"
    r"|misses|missing|mode|model|module|ms|network|ok|on|path|policy|pool|position"
    r"|prefix|present|provider|quota|rate|ratio|ref|required|retries|revoked|rotated"
    r"|samesite|scheme|seconds|seen|serializer|set|size|source|state|status|strength"
    r"|table|template|timeout|total|ttl|type|types|updated|uri|url|usage|used|valid"
    r"|validation|validator|validators|verified|version|view|warning)$"
    r"|(?<!user)(?<!holder)(?<!card)_name$|(?:auth|card|otp|pan|pin)_id$"
    r"|^(?:has|is|max|min|needs|no|num|requires|with|without)_"
)
_NUMBERED = compiled(r"(?:_id|_ids|_pk)$")
_CAMEL = compiled(r"(?<=[a-z0-9])(?=[A-Z])")
_NOT_WORD = compiled(r"[\W_]+")
_TELLING = frozenset(
    (
        *("", "-", "?", "bad", "changed", "disabled", "empty", "enabled", "expired"),
        *("any", "bool", "bytes", "float", "int", "str", "string"),  # types in code
        *("false", "invalid", "missing", "n/a", "nan", "nil", "no", "none", "not"),
        *("null", "off", "ok", "on", "optional", "redacted", "required", "revoked"),
        *("set", "true", "undefined", "unknown", "unset", "valid", "wrong", "yes"),
        *("[filtered]", "[redacted]", "<hidden>", "<redacted>", "<secret>"),
    )
)
_MASKED = compiled(r"[*•x.]{3,}", re.IGNORECASE)
_EVERYDAY = compiled(r"[a-z]{1,12}|[A-Z][a-z]{1,11}|\d{1,3}|[A-Za-z]{1,3}\d{1,2}")
_DATE = compiled(r"\d{4}-\d\d-\d\d\b.{0,24}")
_SMALL = compiled(r"\d{1,9}")
_DIRECTORY = compiled(r"(?:[A-Za-z]:)?[/\\][\w./\\ -]*")
# How many tests passed, how many cookies there are.
_COUNTED = compiled(r"(?:^|_)(?:pass|cookies|credentials|secrets)$")
_COUNT = compiled(r"\d{1,3}")


@cache
def _placeholder() -> re.Pattern[str]:
    """Return a pattern of what takes the place of a value, or gives it in code."""
    roots = (
        "args|cfg|cls|conf|config|data|env|environ|form|kwargs|os|params|payload"
        "|request|response|self|serializer|settings|user"
    )
    return re.compile(
        r"\$[A-Z_]{2}[A-Z0-9_]{0,64}|\$\{\w{1,64}\}|\$\(.{1,256}|\{\{.{1,256}\}\}|\{[\w.!]{0,64}\}"
        r"|%[A-Z_]{2,64}%|%(?:\(\w{1,64}\))?[srd]|<[A-Za-z][A-Za-z _-]{0,32}>"
        r"|:[a-z_]{1,32}"
        rf"|(?:{roots})(?:\.[A-Za-z_]{{1,48}}){{1,6}}"
    )


@cache
def _sentence() -> re.Pattern[str]:
    """Return a pattern of a validator's message: words, and a full stop."""
    word = r"[^\W\d_]{1,24}(?:['\u2019-][^\W\d_]{1,24})?"
    return re.compile(
        rf"[A-Z][^\W\d_]{{0,24}}(?:[,:;]? (?:{word}|\d{{1,3}})){{2,30}}[.!]"
    )


def flat(name: str) -> str:
    """Return ``x_api_key`` for ``X-Api-Key`` and ``xApiKey``."""
    return _NOT_WORD.sub("_", _CAMEL.sub("_", name).lower()).strip("_")


def rank(name: str) -> Rank:
    """Return how secret a name, as `flat` has it, makes its value."""
    strong = _STRONG_NAME.search(name) is not None
    if not strong and _WEAK_NAME.search(name) is None:
        return Rank.NONE
    if _ABOUT.search(name):
        return Rank.NONE
    return Rank.STRONG if strong else Rank.WEAK


def hides(name: str, rank: Rank, value: str) -> bool:
    """Return whether a value is to be hidden, given its name and the name's rank.

    Args:
        name: As `flat` has it.
        rank: The rank of the name.
        value: What is called so, as text, without its quotes.
    """
    if rank in {Rank.NONE, Rank.OWN}:
        return rank is Rank.OWN
    if value.casefold() in _TELLING or _MASKED.fullmatch(value):
        return False
    if _counts(name, value) or tells(value):
        return False
    everyday = _EVERYDAY.fullmatch(value) or _DATE.fullmatch(value)
    return rank is Rank.STRONG or not everyday


def tells(value: str) -> bool:
    """Return whether a value is harmless: a placeholder, code, a sentence."""
    return (
        _placeholder().fullmatch(value) is not None
        or _sentence().fullmatch(value) is not None
    )


def _counts(name: str, value: str) -> bool:
    """Return whether this counts, numbers a row, or is the shell's directory."""
    if name == "pwd":
        return _DIRECTORY.fullmatch(value) is not None
    if _NUMBERED.search(name):
        return _SMALL.fullmatch(value) is not None
    return bool(_COUNTED.search(name) and _COUNT.fullmatch(value))


@cache
def spoken() -> str:
    """Return a pattern of names as people write them: ``api key``, ``password``."""
    return (
        r"one[- ]time (?:code|password|pin)"
        r"|pass(?:word|phrase|code|wd|wort)|kennwort|pwd|(?:client[ _-]?)?secret"
        r"|mot de passe|contraseña|senha|wachtwoord"
        r"|(?:access|api|auth|bearer|refresh|reset|session)[ _-]?(?:token|key)|token"
        r"|(?:private|secret|signing)[ _-]?key|credentials?|pin|otp|tan"
        r"|(?:your|verification|security|login|access|confirmation|recovery|backup|auth"
        r"|sms|activation|pairing) code|cvv|cvc|ssn"
    )
