"""A web address as browsers read it, in SITES and in `Location`.

Sources: the URL standard of WHATWG (parsing, host, percent-encode sets) and UTS #46,
nontransitional, for letters beyond ASCII in names. Where browsers and curl differ the
browser wins: it is what visitors have.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import unicodedata
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes

_PORTS = {"http": 80, "https": 443}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(.*)", re.DOTALL)
_AUTHORITY = re.compile(r"(?:(.*)@)?(\[[^\]]*\]|[^:]*)(?::([0-9]*))?", re.DOTALL)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\"#%/:<>?@\[\\\]^`{|}]")
# Characters that UTS #46 leaves out, as far as people type or paste them.
_LEFT_OUT = re.compile(
    "[\u00ad\u034f\u180b-\u180d\u200b\u2060\u2064\ufe00-\ufe0f\ufeff]"
)
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_KEPT = "ß\u03c2\u200c\u200d"  # folding would make another name of these
_IN_PATH = "!$%&'()*+,-./:;=@[\\]_|~"
_IN_QUERY = _IN_PATH.replace("'", "") + "?^`{}"
_LONGEST = 65_536


class Address(NamedTuple):
    """An http or https address.

    Attributes:
        scheme: ``http`` or ``https``.
        host: In ASCII, lower case; IPv6 in brackets, without a zone.
        port: Never empty.
        target: Path and query, percent-encoded, as requests name them.
        user: ``user:password``, or empty.
        zone: Of a link-local IPv6 address, or empty.
    """

    scheme: str
    host: str
    port: int
    target: str
    user: str = ""
    zone: str = ""

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The Host header: the port only where it is not the scheme's own."""
        usual = self.port == _PORTS[self.scheme]
        return self.host if usual else f"{self.host}:{self.port}"

    @property
    def lookup(self) -> str:
        """What the name service is asked for."""
        bare = self.host.strip("[]")
        return f"{bare}%{self.zone}" if self.zone else bare

    @property
    def certified(self) -> str:
        """The name or address that a certificate must be for."""
        return self.host.strip("[]").removesuffix(".")

    @property
    def origin(self) -> tuple[str, str, int]:
        """What credentials belong to."""
        return self.scheme, self.host, self.port


def parse(text: str, base: Address | None = None) -> Address:
    """Return the address that `text` is, seen from `base`.

    Args:
        text: As written; bytes that are not UTF-8 as surrogates.
        base: Where it was found; without one it must be absolute.

    Raises:
        ValueError: It is not an http or https address.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"the URL has {len(text)} characters, which is too long")
    text = text.strip("".join(map(chr, range(33))))
    text = re.sub(r"[\t\n\r]", "", text).partition("#")[0]
    before, mark, query = text.partition("?")
    before = before.replace("\\", "/")
    query = mark + quote(_raw(query), safe=_IN_QUERY)
    scheme, rest = "", before
    if scheme_match := _SCHEME.fullmatch(before):
        scheme, rest = scheme_match[1].lower(), scheme_match[2]
        if scheme not in _PORTS:
            raise ValueError(f"{scheme}: isn't http or https")
    if base is None or (scheme and scheme != base.scheme) or rest[:2] == "//":
        if not scheme and base is None:
            raise ValueError("not an http or https URL")
        authority, slash, path = rest.lstrip("/").partition("/")
        address = _authority(scheme or getattr(base, "scheme", ""), authority)
        return address._replace(target=_path(slash + path) + query)
    if not rest:
        old, _, old_query = base.target.partition("?")
        return base._replace(target=old + (query or (old_query and f"?{old_query}")))
    if not rest.startswith("/"):
        rest = base.target.partition("?")[0].rpartition("/")[0] + "/" + rest
    return base._replace(target=_path(rest) + query)


def _authority(scheme: str, text: str) -> Address:
    match = _AUTHORITY.fullmatch(text)
    port = int(match[3] or _PORTS[scheme]) if match and len(match[3] or "") < 9 else -1
    if match is None or not 0 <= port <= 65535:
        raise ValueError(f"{_shown(text)!r} isn't a host and port")
    user = unquote(match[1] or "")
    if not match[2].startswith("["):
        return Address(scheme, ascii_host(match[2]), port, "", user)
    inside, _, zone = unquote(match[2][1:-1]).partition("%")
    try:
        host = f"[{ipaddress.IPv6Address(inside).compressed}]"
    except ValueError:
        raise ValueError(f"{_shown(match[2])} isn't an IPv6 address") from None
    return Address(scheme, host, port, "", user, zone)


def ascii_host(text: str) -> str:
    """Return a host as it is looked up, certified and sent: punycode, or an IPv4.

    Raises:
        ValueError: No host has that name.
    """
    try:
        name = unquote_to_bytes(_raw(text)).decode()
    except UnicodeDecodeError:
        raise ValueError(f"{text[:100]!a} isn't a host name") from None
    if not name.isascii():
        name = _folded(_LEFT_OUT.sub("", name))
    labels = [_label(label.lower()) for label in _DOTS.split(name)]
    host = ".".join(labels)
    name_labels = labels if labels[-1] else labels[:-1]  # a trailing dot
    if (
        not name_labels
        or "" in name_labels
        or len(host) > 254
        or _FORBIDDEN.search(host)
    ):
        raise ValueError(f"{_shown(text)!r} isn't a host name")
    if _NUMBER.fullmatch(name_labels[-1]):
        # 127.1 and 0x7f000001 are addresses to everybody, in their usual form.
        try:
            return socket.inet_ntoa(socket.inet_aton(host.removesuffix(".")))
        except OSError:
            raise ValueError(f"{_shown(text)!r} isn't an IPv4 address") from None
    return host


def _folded(name: str) -> str:
    name = unicodedata.normalize("NFKC", name).replace("ẞ", "ß")
    name = "".join(char if char in _KEPT else char.casefold() for char in name)
    return unicodedata.normalize("NFKC", name)


def _label(label: str) -> str:
    try:
        ascii_label = (
            label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
        )
    except UnicodeError:
        raise ValueError(f"{_shown(label)!r} isn't a host name") from None
    if len(ascii_label) > 63:
        raise ValueError(f"{_shown(label)!r} is longer than a host name may be")
    return ascii_label


def _path(text: str) -> str:
    """Return a path percent-encoded, its ``.`` and ``..`` gone."""
    segments: list[str] = []
    parts = text.removeprefix("/").split("/")
    for at, part in enumerate(parts):
        dots = re.sub("%2e", ".", part, flags=re.IGNORECASE)
        if dots == "..":
            segments = segments[:-1]
        elif dots != ".":
            segments.append(part)
            continue
        if at == len(parts) - 1:
            segments.append("")
    return "/" + quote(_raw("/".join(segments)), safe=_IN_PATH)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _shown(text: str) -> str:
    """Return a piece of an address for an error: short, without credentials."""
    return text.rpartition("@")[2][:100]
