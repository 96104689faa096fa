"""Which directories a project writes to or reads from, found in its settings."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from watchroom import conf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DIRECTORIES = ("BASE_DIR", "MEDIA_ROOT", "STATIC_ROOT", "FILE_UPLOAD_TEMP_DIR")
_FILE_CACHE = "FileBasedCache"


def places(django_settings: object, settings: conf.Settings) -> Iterator[Path]:
    """Yield the paths whose file systems matter, the most important first.

    Args:
        django_settings: The project's; what is missing or odd there is left out.
        settings: Names the runtime directory, and more paths in DISKS.
    """
    for name in _DIRECTORIES:
        yield from _path(getattr(django_settings, name, None))
    for database in _values(getattr(django_settings, "DATABASES", None)):
        if "sqlite" in str(database.get("ENGINE")) or "spatialite" in str(
            database.get("ENGINE")
        ):
            file = sqlite_file(database.get("NAME"))
            if file is not None:
                yield file.parent
    for cache in _values(getattr(django_settings, "CACHES", None)):
        if str(cache.get("BACKEND")).endswith(_FILE_CACHE):
            yield from _path(cache.get("LOCATION"))
    for handler in _values(_handlers(django_settings)):
        for file in _path(handler.get("filename")):
            yield file.parent
    yield Path(tempfile.gettempdir())
    yield conf.runtime_dir(settings)
    for disk in settings.disks:
        yield Path(disk)


def sqlite_file(name: object) -> Path | None:
    """Return the file of a SQLite database; None for one in memory."""
    if not isinstance(name, str | Path) or not str(name):
        return None
    text = str(name)
    if text.startswith("file:"):
        parts = urlsplit(text)
        if "mode=memory" in parts.query:
            return None
        text = unquote(parts.path)
    return None if text in {":memory:", ""} else Path(text).absolute()


def _handlers(django_settings: object) -> object:
    logging = getattr(django_settings, "LOGGING", None)
    return logging.get("handlers") if isinstance(logging, dict) else None


def _values(setting: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(setting, dict):
        yield from (value for value in setting.values() if isinstance(value, dict))


def _path(value: object) -> Iterator[Path]:
    if isinstance(value, str | Path) and str(value):
        yield Path(value).absolute()
