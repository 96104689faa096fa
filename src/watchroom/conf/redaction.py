"""What must not be written anywhere, as the project's settings know it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from watchroom import conf
from watchroom.redact import Redactor
from watchroom.redact.walk import MAX_TEXT, clip

if TYPE_CHECKING:
    from collections.abc import Iterable

# Narrower than what is taken out of logs: SESSION_COOKIE_NAME isn't a secret.
_SECRET = re.compile(
    r"PASSW|SECRET|TOKEN|(?:^|_)(?:PASS|PWD|DSN|CREDENTIALS?|SIGNATURE"
    r"|(?:ACCESS|API|ENCRYPTION|PRIVATE|SIGNING)_?KEYS?)(?:_|$)"
)
# Less telling: a key may be a file's, a column's, a header's.
_KEY = re.compile(r"(?:^|_)KEYS?$")
_RANDOM = re.compile(r"(?=.*[A-Za-z])(?=.*\d|.*[a-z].*[A-Z]|.*[A-Z].*[a-z])\S+")
_FILE = re.compile(r"\.{0,2}/[\w.-]+/")
_HOOK = "HOOK"
_NO_SECRET = frozenset(
    ("AUTH_PASSWORD_VALIDATORS", "PASSWORD_HASHERS", "PASSWORD_RESET_TIMEOUT")
)
# A path of Python's; with a digit in it rather a key of several parts.
_DOTTED = re.compile(r"[A-Za-z_]+(?:\.[A-Za-z_]+)+")
# Passwords that are words of every log.
_WORDS = frozenset(("password", "postgres", "postgresql", "changeme"))
_MOST = 50
_DEPTH = 4


def redactor() -> Redactor | None:
    """Return what knows the project's secrets; None while its settings are unread."""
    from django.conf import settings as django_settings

    return _redactor() if django_settings.configured else None


def clean(text: str) -> str:
    """Return a text without secrets, cut to what a line may hold."""
    return (redactor() or Redactor()).text(clip(text, MAX_TEXT))


def service() -> dict[str, str]:
    """Return whose a line is: project, environment and, if known, release."""
    settings = conf.settings_or_names()
    names = {"project": settings.project, "environment": settings.environment}
    version = conf.release()
    return {**names, "release": version} if version else names


def secrets(settings: Iterable[tuple[str, object]]) -> list[str]:
    """Return the secrets among settings: values of secret names, passwords in URLs."""
    secrets: list[str] = []
    for name, value in settings:
        if name not in _NO_SECRET:
            secrets += _within(name, value, _DEPTH)
    return [
        secret for secret in dict.fromkeys(secrets) if secret.lower() not in _WORDS
    ][:_MOST]


@cache
def _redactor() -> Redactor:
    from django.conf import settings as django_settings
    from django.core.signals import setting_changed

    setting_changed.connect(_forget, dispatch_uid="watchroom.redaction")
    names = [name for name in dir(django_settings) if name.isupper()]
    values = [(name, _read(django_settings, name)) for name in names]
    return Redactor(conf.settings_or_names().redact, secrets(values))


def _read(settings: object, name: str) -> object:
    try:
        return getattr(settings, name)
    except Exception:  # noqa: BLE001 - an empty SECRET_KEY raises: nothing to hide
        return None


def _forget(**_: object) -> None:
    _redactor.cache_clear()


def _within(name: str, value: Any, depth: int) -> Iterable[str]:
    if isinstance(value, dict) and depth:
        for key, inner in value.items():
            yield from _within(str(key), inner, depth - 1)
    elif isinstance(value, list | tuple) and depth:
        for inner in value[:_MOST]:
            yield from _within(name, inner, depth - 1)
    elif isinstance(value, bytes):
        yield from _within(name, value.decode("utf-8", "backslashreplace"), depth)
    elif isinstance(value, str) and "://" in value:
        yield from _password(value)
        if _HOOK in name.upper():
            yield from _path(value)
    elif isinstance(value, str) and not _DOTTED.fullmatch(value):
        big = name.upper()
        if _SECRET.search(big) or (_KEY.search(big) and _random(value, 16)):
            yield value


def _path(url: str) -> Iterable[str]:
    """Yield the path of a hook's URL, where that is all who may call it has to know."""
    try:
        path = urlsplit(url).path.rstrip("/")
    except ValueError:
        return
    if any(_random(part, 12) for part in path.split("/")):
        yield path


def _random(text: str, least: int) -> bool:
    if len(text) < least or _FILE.match(text):
        return False
    return _RANDOM.fullmatch(text) is not None


def _password(url: str) -> Iterable[str]:
    try:
        password = urlsplit(url).password
    except ValueError:
        return
    if password:
        yield from {password, unquote(password)}
