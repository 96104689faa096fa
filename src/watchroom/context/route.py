"""The route of a path: its shape, without the ids or secrets that the path has."""

from __future__ import annotations

import re
from functools import lru_cache

from django.conf import settings
from django.urls import Resolver404, resolve
from django.utils import translation

_PROBES = frozenset(("health", "livez", "readyz", "startupz"))
# Requested every few seconds by probes and scrapers, which count themselves.
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
        view = resolve(path).func
    except Exception:  # noqa: BLE001 - no route, or broken URLs
        return False
    return type(view).__module__ == "watchroom.health.views"


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
        for candidate in (path, f"{path}/"):
            try:
                return resolve(candidate).route
            except Resolver404:
                continue
            except Exception:  # noqa: BLE001 - broken URLs
                return None
    return None


# What only patterns have; a path() may hold a parenthesis, but hardly one of these.
_PATTERN = re.compile(r"\^|\$|\\|\(\?|\[|\)[*+?]|\.[*+]")
_GROUP = re.compile(r"\(\?P<(\w+)>|\(\?[:=!<]|\(")
_MARKS = re.compile(r"\\[AbBZz]|[\^$?*+]|\{\d+(?:,\d*)?\}")


@lru_cache(maxsize=1024)
def written(route: str) -> str:
    """Return a route written as a path: /customers/<int:pk>/.

    Of a regular expression what it captures stands by its name, as Django's own
    admindocs shows it: ``^customers/(?P<pk>[0-9]+)/$`` is /customers/<pk>/.
    """
    if _PATTERN.search(route):
        route = _without_pattern(route)
    return route if route.startswith("/") else f"/{route}"


def _without_pattern(route: str) -> str:
    pieces, at = [], 0
    while at < len(route):
        group = _GROUP.match(route, at)
        if route[at] == "\\" or group is None:
            size = 2 if route[at] == "\\" else _class(route, at) or 1
            pieces.append(route[at : at + size])
            at += size
            continue
        end = _closing(route, at)
        inner = route[group.end() : end]
        if group[1] or group[0] == "(":
            pieces.append(f"<{group[1] or 'var'}>")
        elif group[0] == "(?:":
            pieces.append(_without_pattern(inner))
        at = end + 1  # a look-around matches no text
    plain = _MARKS.sub("", "".join(pieces))
    return re.sub(r"\\(.)", r"\1", plain)


def _class(route: str, at: int) -> int:
    """Return the length of the character class that begins here, or 0."""
    if route[at] != "[":
        return 0
    end = route.find("]", at + 2)
    return end - at + 1 if end > 0 else 0


def _closing(route: str, at: int) -> int:
    """Return where the group that begins at `at` ends."""
    depth, position = 0, at
    while position < len(route):
        if route[position] == "\\":
            position += 2
            continue
        if size := _class(route, position):
            position += size
            continue
        depth += {"(": 1, ")": -1}.get(route[position], 0)
        if depth == 0:
            return position
        position += 1
    return len(route)
