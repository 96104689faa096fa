"""What is taken out of an event, transaction, log, metric or span before it is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from watchroom.redact import Redactor, errors, shapes
from watchroom.redact.walk import REDACTED, Limits, telling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# An event of the SDK's own greatest size has some thousand values.
_MOST = {"depth": 24, "items": 2000, "nodes": 50_000, "text": 16_384, "chars": 1 << 20}
# What the SDK writes itself: ids may look like numbers of cards, packages like secrets.
_AS_IT_IS = frozenset(("modules", "sdk", "debug_meta", "_meta", "measurements"))
_IDS = frozenset(
    (
        *("event_id", "trace_id", "span_id", "parent_span_id", "segment_id"),
        *("timestamp", "start_timestamp", "release", "environment"),
    )
)
# A span that is sent by itself has each header as an attribute.
_HEADER = "http.request.header."
_ADDRESSES = frozenset(("referer", "url.full", "sentry.segment.name"))
_ADDRESS = re.compile(r"(?:\w{1,16}://[^\s/]{1,256})?/.*", re.DOTALL)
# A key is a session's cookie as often as not; its first part ends nowhere certain.
_KEYED = ("redis", "db.redis", "cache.")
_KEYS = frozenset(
    (
        *("redis.key", "db.redis.key", "cache.key"),
        *("db.query.text", "db.statement"),
    )
)


def scrub(event: Any) -> Any:
    """Return an event, transaction, log, metric or span without its secrets."""
    if not isinstance(event, dict):
        return None
    unchanged = {key: event[key] for key in _AS_IT_IS & event.keys()}
    rest = {key: value for key, value in event.items() if key not in _AS_IT_IS}
    rest = _without_keys(_without_arguments(rest))
    limits = Limits(**_MOST, keep=_IDS, first=_routing(rest))
    return {**_redactor().plain(rest, limits), **unchanged}


def _redactor() -> Redactor:
    from watchroom.conf import redaction

    return redaction.redactor() or Redactor()


def _without_arguments(event: dict[str, Any]) -> dict[str, Any]:
    """Leave out values that came without a name: any may be secret."""
    cleaned = dict(event)
    for part, names in (
        ("logentry", ("params",)),
        ("extra", ("celery-job", "rq-job", "sys.argv")),
    ):
        if isinstance(cleaned.get(part), dict):
            cleaned[part] = {k: v for k, v in cleaned[part].items() if k not in names}
    if isinstance(cleaned.get("attributes"), dict):
        cleaned["attributes"] = {
            key: value
            for key, value in cleaned["attributes"].items()
            if not key.startswith("sentry.message.parameter")
            and (not key.startswith(_HEADER) or telling(key.removeprefix(_HEADER)))
        }
    return cleaned


def _without_keys(event: dict[str, Any]) -> dict[str, Any]:
    """Leave of what was asked of caches the command."""
    cleaned: dict[str, Any] = _keyless(event)
    if isinstance(cleaned.get("spans"), list):
        cleaned["spans"] = [_keyless(span) for span in cleaned["spans"]]
    crumbs = cleaned.get("breadcrumbs")
    if isinstance(crumbs, dict) and isinstance(crumbs.get("values"), list):
        values = [_keyless(crumb) for crumb in crumbs["values"]]
        cleaned["breadcrumbs"] = {**crumbs, "values": values}
    return cleaned


def _keyless(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    bags = {name: _dict(part, name) for name in ("data", "tags", "attributes")}
    kind = part.get("op") or bags["attributes"].get("sentry.op")
    kind = str(kind or part.get("type") or "")
    if not kind.startswith(_KEYED):
        return _without_literals(part, kind or str(part.get("category") or ""))
    cleaned = dict(part)
    for name in ("description", "message", "name"):
        if isinstance(cleaned.get(name), str):
            cleaned[name] = (
                kind if kind.startswith("cache.") else _command(cleaned[name])
            )
    for name, bag in bags.items():
        if bag:
            cleaned[name] = {k: v for k, v in bag.items() if k not in _KEYS}
    if commands := _dict(bags["data"], "redis.commands"):
        first = [_command(command) for command in commands.get("first_ten", ())]
        cleaned["data"]["redis.commands"] = {**commands, "first_ten": first}
    return cleaned


def _without_literals(part: dict[str, Any], kind: str) -> dict[str, Any]:
    """Remove the literals from a query's text."""
    if not kind.startswith(("db", "query")):
        return part
    texts = {
        name: errors.statement(part[name], REDACTED)
        for name in ("description", "message", "name")
        if isinstance(part.get(name), str) and "'" in part[name]
    }
    return {**part, **texts} if texts else part


def _command(text: object) -> str:
    return str(text).partition(" ")[0]


def _routing(event: dict[str, Any]) -> Callable[[str], str] | None:
    """Return what puts routes in the place of the paths that a request came with."""
    routes = dict(_routes(event))
    if not routes:
        return None
    texts = "|".join(map(re.escape, sorted(routes, key=len, reverse=True)))
    # To compile it costs more than all else here; most texts are whole addresses.
    pattern = rf"(?<![\w/])(\w{{1,16}}://[^\s/?#]{{1,256}})?({texts})(?![\w/])"

    def routed(text: str) -> str:
        route = routes.get(text)
        if route is not None:
            return route
        for path in routes:
            if path in text:
                return re.sub(pattern, lambda at: (at[1] or "") + routes[at[2]], text)
        return text

    return routed


def _routes(event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the paths in the fields that hold addresses, each with its route."""
    request, attributes = _dict(event, "request"), _dict(event, "attributes")
    route = attributes.get("http.route")
    if _dict(event, "transaction_info").get("source") == "route":
        route = event.get("transaction")
    yield from _route(request.get("url") or attributes.get("url.full"), route)
    for name in ("transaction", "name"):
        yield from _route(event.get(name), None)
    for name, value in {**_dict(request, "headers"), **attributes}.items():
        if str(name).lower().removeprefix(_HEADER) in _ADDRESSES:
            yield from _route(value, None)


def _route(url: object, named: object) -> Iterator[tuple[str, str]]:
    """Yield the spellings of a path, each with the route that stands for it."""
    from watchroom.context import route

    # What has braces is a route as the SDK writes it.
    if not isinstance(url, str) or "{" in url or not _ADDRESS.fullmatch(url):
        return
    try:
        parts = urlsplit(url)
        inner = _inner(parts.path)
        pattern = named if isinstance(named, str) else route.of(inner)
        if pattern is None:
            written = shapes.path(inner, REDACTED)
        else:
            written = route.written(pattern)
    except Exception:  # noqa: BLE001 - no URL, or no project of Django's
        return
    written = "/" + written.lstrip("/")
    spellings = {parts.path, unquote(parts.path), inner} - {written, "", "/"}
    if spellings:
        yield url, parts._replace(path=written).geturl()
    yield from ((spelling, written) for spelling in spellings)


def _inner(path: str) -> str:
    from django.urls import get_script_prefix

    return "/" + unquote(path).removeprefix(get_script_prefix()).lstrip("/")


def _dict(inside: dict[str, Any], name: str) -> dict[str, Any]:
    value = inside.get(name)
    return value if isinstance(value, dict) else {}
