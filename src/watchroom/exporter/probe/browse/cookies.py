"""The cookies of one visit, kept by domain and path.

Source: RFC 6265, section 5, and of its successor the prefixes ``__Host-`` and
``__Secure-`` and the rule that a plain page sets no secure cookie. The list of public
suffixes is left out: all hosts of a visit are on one site's own way.
"""

from __future__ import annotations

import re
import time
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, NamedTuple

from watchroom.exporter.probe.browse.address import ascii_host

if TYPE_CHECKING:
    from watchroom.exporter.probe.browse.address import Address

MOST = 200
_LONGEST = 4096
_LOOPBACK = re.compile(r"(.+\.)?localhost\.?|127\.[0-9.]+|\[::1\]")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ADDRESS = re.compile(r"[0-9.]+|\[.*\]")


class _Cookie(NamedTuple):
    value: str
    everywhere: bool  # subdomains too
    secure: bool


class Cookies:
    """Stores cookies from responses and returns those for the next request."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str, str], _Cookie] = {}

    def take(self, at: Address, header: str) -> None:
        """Store the cookie of a response's Set-Cookie header, if it may set it."""
        pair, *attributes = header.split(";")
        name, equals, value = pair.partition("=")
        if not equals:
            name, value = "", name
        name, value = name.strip(), value.strip()
        values = {}
        for attribute in attributes:
            key, _, attribute_value = attribute.partition("=")
            values[key.strip().lower()] = attribute_value.strip()
        host, everywhere = _domain(at, values.get("domain", ""))
        path = values.get("path", "")
        path = path if path.startswith("/") else _directory(at)
        secure = "secure" in values
        bad = (
            not (name or value)
            or len(name) + len(value) > _LONGEST
            or _CONTROL.search(name + value)
            or not host
            or (secure and not _safe(at))
            or (name.lower().startswith(("__secure-", "__host-")) and not secure)
            or (name.lower().startswith("__host-") and (everywhere or path != "/"))
        )
        if bad:
            return
        cookie_key = host, path, name
        self._cookies.pop(cookie_key, None)
        if not _past(values) and len(self._cookies) < MOST:
            self._cookies[cookie_key] = _Cookie(value, everywhere, secure)

    def header(self, at: Address) -> str:
        """Return the Cookie header of a request, or "" for none."""
        path = at.target.partition("?")[0]
        matching = [
            (key, cookie)
            for key, cookie in self._cookies.items()
            if (at.host == key[0] or (cookie.everywhere and _under(at.host, key[0])))
            and (path == key[1] or path.startswith(key[1].rstrip("/") + "/"))
            and (_safe(at) or not cookie.secure)
        ]
        matching.sort(key=lambda entry: -len(entry[0][1]))
        return "; ".join(
            f"{name}={cookie.value}" if name else cookie.value
            for (_, _, name), cookie in matching
        )


def _domain(at: Address, requested: str) -> tuple[str, bool]:
    """Return whose a cookie is and whether subdomains' too; "" if it may not be."""
    requested = requested.removeprefix(".")
    if not requested:
        return at.host, False
    try:
        domain = ascii_host(requested)
    except ValueError:
        return "", False
    if domain == at.host:
        return domain, "." in domain and _ADDRESS.fullmatch(domain) is None
    return (domain, True) if "." in domain and _under(at.host, domain) else ("", False)


def _under(host: str, domain: str) -> bool:
    return host.endswith(f".{domain}") and _ADDRESS.fullmatch(host) is None


def _directory(at: Address) -> str:
    return at.target.partition("?")[0].rpartition("/")[0] or "/"


def _safe(at: Address) -> bool:
    # Browsers and curl trust their own machine with secure cookies.
    return at.secure or _LOOPBACK.fullmatch(at.host) is not None


def _past(attributes: dict[str, str]) -> bool:
    age = attributes.get("max-age", "")
    if re.fullmatch(r"-?[0-9]+", age):
        return age.startswith("-") or not age.strip("0")
    when = parsedate_tz(attributes.get("expires", "").replace("-", " "))
    try:
        return when is not None and mktime_tz(when) <= time.time()
    except (ValueError, OverflowError):
        return False
