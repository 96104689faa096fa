"""The environment as Django wants it: flags, lists and service addresses."""

import os
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


def flag(name: str) -> bool:
    """Return whether the variable is switched on ("1", "true", "yes", "on")."""
    return os.environ.get(name, "").lower() in {"1", "true", "yes", "on"}


def words(name: str, default: str = "") -> list[str]:
    """Return a variable as the list of what commas or spaces separate in it."""
    return os.environ.get(name, default).replace(",", " ").split()


def database(url: str, default: Path) -> dict:
    """Return one entry of DATABASES for a URL, or SQLite in the file `default`.

    Understands postgres://user:password@host:port/name?option=value and
    sqlite:///absolute/path.
    """
    parts = urlsplit(url or f"sqlite://{default}")
    match parts.scheme:
        case "sqlite":
            return sqlite("/" + parts.path.lstrip("/"))
        case "postgres" | "postgresql":
            return postgres(parts)
    msg = f"DATABASE_URL starts with {parts.scheme}://, not postgres:// or sqlite://"
    raise ImproperlyConfigured(msg)


def sqlite(path: str) -> dict:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "CONN_MAX_AGE": 60,
        "OPTIONS": {
            # A writer waits for its turn at BEGIN, where the timeout counts. In the
            # default mode it would meet the lock half-way and fail at once.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # WAL: readers never wait for a writer. NORMAL: a power cut may lose the
            # last commits, never the file.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    }


def postgres(parts: SplitResult) -> dict:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5, **dict(parse_qsl(parts.query))},
    }
