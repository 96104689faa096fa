"""Who may ask: the token, the login cookie, the Host header, the origin of POSTs."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from aiohttp import HttpVersion11, web

from watchroom.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COOKIE = "watchroom"
_SESSION_SECONDS = 7 * 86400
_UNTIL = re.compile(r"[0-9]{1,12}")
# A request with one of these came through a proxy: its sender is not who connects.
_PROXIED = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host")
_OPEN_PATHS = ("/login", "/static/console.css")
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: browsers would then send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Listen(NamedTuple):
    """Where the monitor listens, as given: ``host:port``."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_listen(text: str) -> Listen:
    """Return the host and port of ``127.0.0.1:9700`` or ``[::1]:9700``.

    Raises:
        ConfigError: It is not of that form.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(
            f"{text!r} is not a host and port",
            field="--listen",
            hint="write 127.0.0.1:9700 or 0.0.0.0:9700",
        )
    return Listen(host, int(port))


class Access:
    """Decides on every request.

    Args:
        token: The monitor's token.
        configured: Whether somebody set it, rather than the monitor making it.
        listen: Where we listen.
        hosts: Further names by which browsers may call us.

    Raises:
        ConfigError: We would listen beyond loopback with a token nobody knows.
    """

    def __init__(
        self,
        token: str,
        *,
        configured: bool,
        listen: Listen,
        hosts: Collection[str] = (),
    ) -> None:
        if not listen.loopback and not configured:
            raise ConfigError(
                f"{listen.host} can be reached by others, and there is no token",
                field="--listen",
                hint="set WATCHROOM_TOKEN or WATCHROOM_TOKEN_FILE, "
                "or listen on 127.0.0.1",
            )
        self._token = token.encode()
        self._loopback = listen.loopback
        self._named = frozenset(hosts)
        self._hosts = _LOCAL | {listen.host}
        self.refused = 0

    def allow_hosts(self, hosts: Collection[str]) -> None:
        """Take the names a reload brought."""
        self._named = self._named | set(hosts)

    def bears_token(self, request: web.Request) -> bool:
        """Return whether the request carries the token or a login made with it."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._is_token(given)
        until, _, seal = request.cookies.get(COOKIE, "").partition(".")
        # Twelve digits last for 29,000 years; int() refuses a cookie full of them.
        if not _UNTIL.fullmatch(until) or int(until) < time.time():
            return False
        return hmac.compare_digest(_raw(seal), self._seal(until).encode())

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(_raw(given.strip()), self._token)

    def _seal(self, until: str) -> str:
        return hmac.new(self._token, until.encode(), hashlib.sha256).hexdigest()

    def login(self, request: web.Request, given: str) -> str | None:
        """Return the cookie value for a right token, else None."""
        if not self._is_token(given):
            self.refused += 1
            return None
        del request
        until = str(int(time.time()) + _SESSION_SECONDS)
        return f"{until}.{self._seal(until)}"

    def problem(self, request: web.Request) -> tuple[int, str] | None:
        """Return the status and reason to refuse with, or None."""
        if request.path in _OPEN_PATHS:
            return self._origin_problem(request)
        trusted = self.bears_token(request)
        # A proxy that adds no header mostly speaks HTTP/1.0; no browser does.
        proxied = request.version < HttpVersion11 or any(
            name in request.headers for name in _PROXIED
        )
        if not trusted and (proxied or not self._loopback):
            return 401, "this needs the token: Authorization: Bearer …, or /login"
        host = host_of(request.headers.get("Host", ""))
        if not trusted and host not in self._hosts | self._named:
            return 403, (
                "unknown Host header; use localhost, or set MONITOR_URL to the name"
            )
        return self._origin_problem(request)

    def _origin_problem(self, request: web.Request) -> tuple[int, str] | None:
        if request.method in {"GET", "HEAD"}:
            return None
        origin = request.headers.get("Origin")
        if origin is not None:
            # A proxy may have changed Host; a page of the public name is ours too.
            here = urlsplit(origin).netloc == request.headers.get("Host", "")
            if not here and host_of(urlsplit(origin).netloc) not in self._named:
                return 403, "a page of another origin may not do this"
        elif request.headers.get("Sec-Fetch-Site", "none") not in {
            "same-origin",
            "none",
        }:
            return 403, "a page of another origin may not do this"
        return None

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        """Refuse what may not be, and put the security headers on every answer."""
        problem = self.problem(request)
        if problem is not None:
            self.refused += 1
            answer = self._refusal(request, *problem)
        else:
            try:
                answer = await handler(request)
            except web.HTTPException as error:
                answer = error
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        if isinstance(answer, web.HTTPException):
            raise answer
        return answer

    @staticmethod
    def _refusal(request: web.Request, status: int, why: str) -> web.StreamResponse:
        browser = "text/html" in request.headers.get("Accept", "")
        if status == 401 and browser and request.method == "GET":
            # Relative, so that it holds under a path that a proxy strips.
            return web.HTTPSeeOther("../" * (request.path.count("/") - 1) + "login")
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        if request.path.startswith("/api/"):
            body = {"status": "error", "errorType": "unauthorized", "error": why}
            return web.json_response(body, status=status, headers=headers)
        return web.Response(text=why + "\n", status=status, headers=headers)


def _raw(text: str) -> bytes:
    """Return the bytes that came; what is not UTF-8 reaches us as surrogates."""
    return text.encode("utf-8", "surrogateescape")


def host_of(header: str) -> str:
    """Return the host of a Host header, without port and brackets, lower case."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""
