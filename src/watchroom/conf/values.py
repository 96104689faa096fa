"""What a value of the WATCHROOM setting may be, and the error when it is not.

Values are left out of the errors on purpose: some of them are secrets.
"""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from watchroom.errors import ConfigError
from watchroom.runtime import directory

SEVERITIES = ("critical", "warning")
PRIORITIES = ("P1", "P2", "P3")
_LOOPBACK = frozenset({"localhost", "::1"})


def wrong(field: str, what: str, hint: str | None = None) -> ConfigError:
    """Return the error that names a field of the setting."""
    if not field.startswith("WATCHROOM"):
        field = f"WATCHROOM.{field}"
    return ConfigError(what, field=field, hint=hint)


def check_keys(keys: Iterable[object], known: tuple[str, ...], field: str) -> None:
    """Refuse an unknown key, naming the nearest known one.

    Raises:
        ConfigError: A key is not in `known`.
    """
    for key in keys:
        if key in known:
            continue
        from difflib import get_close_matches

        near = get_close_matches(str(key).upper(), [k.upper() for k in known], 1, 0.6)
        nearest = next((k for k in known if [k.upper()] == near), None)
        raise wrong(
            field,
            f"unknown key {key!r}",
            f"did you mean {nearest!r}?"
            if nearest
            else "the keys are " + ", ".join(known),
        )


def mapping(value: object, field: str) -> dict[object, object]:
    """Return a dict; None is an empty one.

    Raises:
        ConfigError: It is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(field, "isn't a dict")
    return value


def text(options: Mapping[object, object], key: str, field: str | None = None) -> str:
    """Return the string under `key`, stripped; empty when it is missing.

    Raises:
        ConfigError: It is something else.
    """
    value = options.get(key, "")
    if not isinstance(value, str):
        raise wrong(field or key, "is not a string")
    return value.strip()


def http_url(value: object, field: str) -> str:
    """Return an absolute http(s) URL without credentials: they are never sent.

    Raises:
        ConfigError: It is something else.
    """
    if not isinstance(value, str):
        raise wrong(field, "is not a string")
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise wrong(field, "isn't an http(s) URL", "write https://host/path")
    if "@" in parts.netloc:
        raise wrong(
            field,
            "contains a user or a password, which would be written in plain "
            "text into generated files",
            "write https://host/path; a receiver's secret URL goes into a "
            "file, named by 'secret'",
        )
    return value


def secret_name(value: object, field: str) -> str:
    """Return the name of a file under ``secrets/``.

    Raises:
        ConfigError: It is something else.
    """
    if not isinstance(value, str) or directory.safe(value) != value:
        raise wrong(
            field,
            "isn't a file name",
            "give the name of a file under secrets/: letters, digits, '_' and '-'",
        )
    return value


def one_of(choices: tuple[str, ...]) -> str:
    """Return the hint that lists what may be written."""
    return "write one of " + ", ".join(choices)


def loopback(url: str) -> bool:
    """Return whether a URL's host is this machine's loopback."""
    host = urlsplit(url).hostname or ""
    return host in _LOOPBACK or host.startswith("127.")
