"""Who may ask: the token, the login cookie, the Host header, the origin of POSTs."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlencode, urlsplit

from aiohttp import HttpVersion11, web

from watchroom.callers import LOCAL, PROXIED, Attempts, host_of, sender
from watchroom.errors import ConfigError
from watchroom.monitor.access.sessions import Sessions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from aiohttp.typedefs import Middleware

    from watchroom.listen import Listen

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

COOKIE = "watchroom"
FORM_FIELD = "form_token"
_OPEN_PATHS = ("/login", "/static/console.css", "/static/icon.svg")
# What follows is a secret of its own: who has it may open it, and POST to it.
_SIGNED = ("/login/", "/answer/")
# Programs use these; browsers are refused by the origin.
_MACHINES = ("/api/", "/-/")
# Prometheus' API reads by POST too. Every other POST and DELETE is a write.
READ_BY_POST = frozenset(
    f"/api/v1/{name}" for name in ("query", "query_range", "series", "labels")
)
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


class ErrorPage(Protocol):
    """Makes a page of a status and a reason; without a login it shows no names."""

    def __call__(
        self, request: web.Request, status: int, why: str, *, anonymous: bool
    ) -> web.Response:
        """Return that page."""
        ...


class Access:
    """Decides on every request.

    Args:
        token: The monitor's token.
        configured: Whether the token was set, rather than made by the monitor.
        listen: Where we listen.
        public: The address by which browsers may call us too: MONITOR_URL.
        prefix: The path under which the public name has us: ``/watch``; a proxy may
            strip it or not.
        ended: The file that remembers which sessions were ended.

    Raises:
        ConfigError: It would listen beyond loopback with a token nobody knows.
    """

    def __init__(
        self,
        token: str,
        *,
        configured: bool,
        listen: Listen,
        public: str = "",
        prefix: str = "",
        ended: Path | None = None,
    ) -> None:
        if not listen.loopback and not configured:
            raise ConfigError(
                f"{listen.host} is reachable from other machines, and no token is set",
                field="--listen",
                hint="set WATCHROOM_TOKEN or WATCHROOM_TOKEN_FILE, "
                "or listen on 127.0.0.1",
            )
        self.token = token
        self._token = token.encode()
        self._loopback = listen.loopback
        self._named: frozenset[str] = frozenset()
        self._origins: frozenset[str] = frozenset()
        self.allow(public)
        self._hosts = LOCAL | {listen.host}
        self.prefix = prefix.rstrip("/")
        self.sessions = Sessions(self._token, ended_path=ended)
        self.attempts = Attempts()
        self.refused = 0

    def allow(self, public: str) -> None:
        """Take the public address that the files, or a reload, brought."""
        if origin := origin_of(public):
            self._named |= {host_of(urlsplit(public).netloc)}
            self._origins |= {origin}

    def path_of(self, request: web.Request) -> str:
        """Return the path within the monitor, whatever a proxy kept of the prefix."""
        path = request.path
        if self.prefix and f"{path}/".startswith(f"{self.prefix}/"):
            return path[len(self.prefix) :] or "/"
        return path

    def root_of(self, request: web.Request) -> str:
        """Return the way from a page to the monitor's root: "", or ``../`` and more.

        Relative, so that it holds under a prefix that a proxy strips.
        """
        return "../" * (self.path_of(request).count("/") - 1)

    def bears_token(self, request: web.Request) -> bool:
        """Return whether the request carries the token or a login made with it."""
        return self.bearer(request) or self.sessions.holds(cookie_of(request))

    def bearer(self, request: web.Request) -> bool:
        """Return whether the request carries the token itself."""
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return False
        right = self._is_token(credentials)
        if right and self.attempts.quiet():
            return True
        who = sender_of(request)
        # If it is unknown which user of this machine asks, all of them share one name:
        # a user who guesses must not be able to lock the others out.
        if who not in LOCAL and self.attempts.wait(who):
            return False
        if not right:
            self.attempts.wrong(who)
        return right

    def _is_token(self, candidate: str) -> bool:
        return hmac.compare_digest(_raw(candidate.strip()), self._token)

    def login(self, request: web.Request, candidate: str) -> str | None:
        """Return the cookie value for a right token, else None.

        After ten wrong ones within a minute nothing of this sender is looked at.
        """
        who = sender_of(request)
        if self.attempts.wait(who) or not self._is_token(candidate):
            self.attempts.wrong(who)
            self.refused += 1
            return None
        return self.sessions.begin()

    def form_token(self, request: web.Request) -> str:
        """Return what the forms of this page must send as `FORM_FIELD`."""
        return self.sessions.form_token(cookie_of(request))

    def is_open(self, request: web.Request) -> bool:
        """Return whether a path is open without a login: it may hold a secret."""
        path = self.path_of(request)
        return path in _OPEN_PATHS or path.startswith(_SIGNED)

    def problem(self, request: web.Request) -> tuple[int, str] | None:
        """Return the status and reason to refuse with, or None."""
        if self.is_open(request):
            return self._origin_problem(request)
        trusted = self.bears_token(request)
        host = host_of(request.headers.get("Host", ""))
        # A proxy that adds no header mostly speaks HTTP/1.0, which no browser does, or
        # passes on our public name.
        proxied = (
            request.version < HttpVersion11
            or host in self._named - self._hosts
            or any(name in request.headers for name in PROXIED)
        )
        if not trusted and (proxied or not self._loopback):
            return 401, "this needs the token: Authorization: Bearer …, or /login"
        if not trusted and host not in self._hosts:
            return 403, (
                "unknown Host header; use localhost, or set MONITOR_URL to the name"
            )
        if not trusted and self._writes(request):
            return 401, (
                "on this machine only reading needs no token: to make changes, send "
                "Authorization: Bearer …, or log in with a link from `watchroom login`"
            )
        return self._origin_problem(request)

    def _writes(self, request: web.Request) -> bool:
        """Return whether a request may change something."""
        read = request.method == "POST" and self.path_of(request) in READ_BY_POST
        return request.method not in {"GET", "HEAD"} and not read

    def _origin_problem(self, request: web.Request) -> tuple[int, str] | None:
        if request.method in {"GET", "HEAD"}:
            return None
        origin = request.headers.get("Origin")
        if origin is not None:
            # A proxy may have ended TLS, or changed Host; a page of the public address
            # is ours too. No page of another origin can set the header.
            scheme = request.headers.get("X-Forwarded-Proto", request.scheme)
            own_origin = origin_of(f"{scheme}://{request.headers.get('Host', '')}")
            if origin_of(origin) not in {own_origin, *self._origins} - {""}:
                return 403, (
                    "requests from another origin are refused; behind a proxy, "
                    "MONITOR_URL must be the address that browsers use"
                )
        elif request.headers.get("Sec-Fetch-Site", "none") not in {
            "same-origin",
            "none",
        }:
            return 403, "requests from another origin are refused"
        return None

    async def _form_problem(self, request: web.Request) -> tuple[int, str] | None:
        """Return why a POST to a page is refused: its form is not one of our pages'.

        The origin was looked at before; this one holds where a browser sends none.
        """
        path = self.path_of(request)
        if request.method in {"GET", "HEAD"} or path in _OPEN_PATHS:
            return None
        if path.startswith((*_SIGNED, *_MACHINES)) or self.bearer(request):
            return None
        form_token = (await request.post()).get(FORM_FIELD, "")
        if isinstance(form_token, str) and self.sessions.is_form_token(
            cookie_of(request), form_token
        ):
            return None
        return 403, "this form has expired; reload the page and try again"

    def guard(self, error_page: ErrorPage) -> Middleware:
        """Return what refuses forbidden requests and adds the security headers.

        Args:
            error_page: Makes the page of an error, for browsers.
        """

        @web.middleware
        async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
            problem = self.problem(request)
            if problem is not None:
                answer = self._refusal(request, *problem)
            else:
                try:
                    answer = await handler(request)
                except web.HTTPException as error:
                    answer = error
            anonymous = problem is not None
            answer = self._as_page(request, answer, error_page, anonymous=anonymous)
            for name, value in HEADERS.items():
                answer.headers.setdefault(name, value)
            if isinstance(answer, web.HTTPException):
                raise answer
            return answer

        return guarded

    @web.middleware
    async def forms(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse a form that is not of one of our pages."""
        problem = await self._form_problem(request)
        if problem is None:
            return await handler(request)
        return self._refusal(request, *problem)

    def _as_page(
        self,
        request: web.Request,
        answer: web.StreamResponse,
        error_page: ErrorPage,
        *,
        anonymous: bool,
    ) -> web.StreamResponse:
        """Return a bare error as a page, to browsers that asked for a page."""
        path = self.path_of(request)
        browser = "text/html" in request.headers.get("Accept", "")
        if (
            answer.status < 400
            or not browser
            or path.startswith(_MACHINES)
            or not isinstance(answer, web.Response)
            or answer.content_type != "text/plain"
        ):
            return answer
        anonymous = anonymous or self.is_open(request)
        page = error_page(
            request, answer.status, answer.text or "", anonymous=anonymous
        )
        for name in ("WWW-Authenticate", "Allow"):
            if name in answer.headers:
                page.headers[name] = answer.headers[name]
        return page

    def _refusal(
        self, request: web.Request, status: int, why: str
    ) -> web.StreamResponse:
        self.refused += 1
        path = self.path_of(request)
        browser = "text/html" in request.headers.get("Accept", "")
        if status == 401 and browser and not path.startswith(_MACHINES):
            return web.HTTPSeeOther(self.login_from(request))
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
        if path.startswith("/api/"):
            body = {"status": "error", "errorType": "unauthorized", "error": why}
            return web.json_response(body, status=status, headers=headers)
        return web.Response(text=why + "\n", status=status, headers=headers)

    def login_from(self, request: web.Request) -> str:
        """Return the way to the login, which leads back to the page that was open."""
        if request.method == "GET":
            back = self.path_of(request)
            back += f"?{request.query_string}" if request.query else ""
        else:
            back = urlsplit(request.headers.get("Referer", "")).path
            back = back.removeprefix(self.prefix)
        then = f"?{urlencode({'then': back[1:]})}" if back[1:] else ""
        return f"{self.root_of(request)}login{then}"


def sender_of(request: web.Request) -> str:
    """Return whose attempts these are; see `callers.sender`."""
    transport = request.transport
    peer = transport.get_extra_info("peername") if transport else None
    local = transport.get_extra_info("sockname") if transport else None
    forwarded = request.headers.get("X-Forwarded-For", "")
    return sender(peer or (request.remote or "",), local or (), forwarded)


def cookie_of(request: web.Request) -> str:
    """Return the session's cookie, or ""."""
    return request.cookies.get(COOKIE, "")


def _raw(text: str) -> bytes:
    """Return the bytes that came; what is not UTF-8 reaches us as surrogates."""
    return text.encode("utf-8", "surrogateescape")


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, the port always, or "" if it isn't one.

    ``https://watch.example.org`` and ``https://WATCH.example.org:443/x`` are one.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""
    return f"{parts.scheme}://{host}:{port}" if host and port else ""
