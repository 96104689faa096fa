"""Logging in by the token or by a one-time link, and out again."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from watchroom.callers import host_of
from watchroom.monitor.access.policy import COOKIE, cookie_of, sender_of
from watchroom.monitor.access.sessions import LINK_SECONDS, SESSION_SECONDS
from watchroom.monitor.console.render import Page

_WRONG_TOKEN_SECONDS = 0.5
# A page of ours, from the root: no scheme, no host, no way up.
_PAGE = re.compile(
    r"[a-z][A-Za-z0-9_-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*/?(\?[^\s\\#]*)?"
)


class Logins(Page):
    """Handlers of /login, /logout and of one-time links."""

    def routes(self, app: web.Application) -> None:
        """Add the handlers to `app`."""
        app.router.add_get("/login", self.ask)
        app.router.add_post("/login", self.login)
        app.router.add_get("/login/{code}", self.confirm)
        app.router.add_post("/login/{code}", self.take)
        app.router.add_post("/logout", self.logout)
        app.router.add_post("/-/login-link", self.offer)

    async def ask(self, request: web.Request) -> web.Response:
        """Ask for the token."""
        return self._renderer.page(
            request,
            "login.html",
            wrong="wrong" in request.query,
            wait=self._services.access.attempts.wait(sender_of(request)),
            then=_page(request.query.get("then", "")),
        )

    async def login(self, request: web.Request) -> web.Response:
        """Trade the token for a cookie."""
        form = await request.post()
        given, then = form.get("token", ""), form.get("then", "")
        page = _page(then if isinstance(then, str) else "")
        cookie = self._services.access.login(
            request, given if isinstance(given, str) else ""
        )
        if cookie is None:
            await asyncio.sleep(_WRONG_TOKEN_SECONDS)
            query = urlencode({"wrong": 1, **({"then": page} if page else {})})
            raise web.HTTPSeeOther(f"login?{query}")
        raise self._let_in(request, cookie, page or "./")

    async def confirm(self, request: web.Request) -> web.Response:
        """Show a button, so that a chat's link preview doesn't use up the link."""
        offered = self._services.access.sessions.is_offered(request.match_info["code"])
        return self._renderer.page(
            request, "link.html", offered=offered, status=200 if offered else 410
        )

    async def take(self, request: web.Request) -> web.Response:
        """Trade the link for a cookie, once."""
        cookie = self._services.access.sessions.take(request.match_info["code"])
        if cookie is None:
            self._services.access.refused += 1
            return self._renderer.page(request, "link.html", offered=False, status=410)
        raise self._let_in(request, cookie, self._services.access.root_of(request))

    async def logout(self, request: web.Request) -> web.Response:
        """End the session on the server too, so that its cookie is invalid."""
        sessions = self._services.access.sessions
        await asyncio.to_thread(sessions.end, cookie_of(request))
        response = web.HTTPSeeOther("login")
        response.del_cookie(COOKIE, path=self._cookie_path(request))
        raise response

    async def offer(self, request: web.Request) -> web.Response:
        """Make a one-time link; requires the token, not a session."""
        if not self._services.access.bearer(request):
            raise web.HTTPUnauthorized(
                text="this needs the token: Authorization: Bearer …\n",
                headers={"WWW-Authenticate": "Bearer"},
            )
        code = self._services.access.sessions.offer()
        base = self._services.config.monitor_url or self._services.external_url
        return web.json_response(
            {"url": base, "path": f"login/{code}", "seconds": LINK_SECONDS}
        )

    def _let_in(self, request: web.Request, cookie: str, then: str) -> web.HTTPSeeOther:
        response = web.HTTPSeeOther(then)
        response.set_cookie(
            COOKIE,
            cookie,
            path=self._cookie_path(request),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=request.secure
            or request.headers.get("X-Forwarded-Proto", "") == "https",
        )
        return response

    def _cookie_path(self, request: web.Request) -> str:
        """Return the cookie's path: below a prefix the host serves other apps too."""
        access, config = self._services.access, self._services.config
        origin = urlsplit(request.headers.get("Origin", "")).netloc
        hosts = {host_of(request.headers.get("Host", "")), host_of(origin)}
        public = config.monitor_host in hosts and bool(config.monitor_host)
        prefixed = access.path_of(request) != request.path
        return f"{access.prefix}/" if access.prefix and (public or prefixed) else "/"


def _page(text: str) -> str:
    """Return the console path to go to after the login, or ""."""
    return text if _PAGE.fullmatch(text) and ".." not in text else ""
