"""The route of a path: what may be told of an address that holds an id, or a secret."""

from __future__ import annotations

from django.conf import settings
from django.urls import Resolver404, resolve
from django.utils import translation

_PROBES = frozenset(("health", "livez", "readyz", "startupz"))
# Asked every few seconds by machines that keep their own books.
QUIET = frozenset(
    f"/{name}{end}" for name in (*_PROBES, "metrics") for end in ("", "/")
)


def probe(path: str) -> bool:
    """Return whether watchroom.urls answers at a path, under whatever prefix.

    Args:
        path: Without the script's prefix.
    """
    if path.rstrip("/").rpartition("/")[2] not in _PROBES:
        return False
    try:
        found = resolve(path).func
    except Exception:  # noqa: BLE001 - no route, or URLs that are none
        return False
    return type(found).__module__ == "watchroom.health.views"


def of(path: str) -> str | None:
    """Return the route that a path leads to, or None when it leads to none.

    Asked where no view has been found yet, or any more: a redirect to TLS, an error of
    a middleware, a report sent after the response.

    Args:
        path: Without the script's prefix.
    """
    language = translation.get_language_from_path(path) if settings.USE_I18N else None
    with translation.override(language or settings.LANGUAGE_CODE):
        # CommonMiddleware redirects to the second.
        for one in (path, f"{path}/"):
            try:
                return resolve(one).route
            except Resolver404:
                continue
            except Exception:  # noqa: BLE001 - URLs that are none
                return None
    return None
