"""How pages of the console are made: one frame, one set of words, relative links."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from watchroom.monitor.access.policy import FORM_FIELD, cookie_of
from watchroom.monitor.api.answers import API
from watchroom.monitor.console.nav import PATHS, entries
from watchroom.monitor.console.values import clock, day, iso, reach_url
from watchroom.units import ago, counted, span

if TYPE_CHECKING:
    from watchroom.monitor.services import Services


def coded(text: str) -> Markup:
    """Return a text with the parts between backticks as code, the rest escaped."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one of them has no partner
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else part
        for place, part in enumerate(parts)
    )


class Renderer:
    """Makes pages from templates.

    Every template has ``root`` (the way to the monitor's root, for links), ``nav``,
    ``form_field`` and ``form_token`` (a hidden input of every form that POSTs),
    ``project``, ``environment``, ``interval``, ``logged_in`` (without it no form is
    taken) and ``login`` (the way to the login, and back); a page's template sets
    ``page``, its entry in the navigation.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._templates = Environment(
            loader=PackageLoader("watchroom.monitor.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals |= {
            "ago": ago,
            "counted": counted,
            "span": span,
            "clock": clock,
            "day": day,
            "iso": iso,
            "reach_url": reach_url,
            "form_field": FORM_FIELD,
        }
        self._templates.filters["coded"] = coded

    def error(
        self, request: web.Request, status: int, why: str, *, anonymous: bool
    ) -> web.Response:
        """Return the page of an error; without a login it names no project."""
        why = why.strip()
        why = "" if why[:3].isdigit() else why  # aiohttp's own words: 404: Not Found
        return self.page(
            request,
            "error.html",
            status=status,
            number=status,
            why=why,
            anonymous=anonymous,
        )

    def page(
        self, request: web.Request, template: str, *, status: int = 200, **context: Any
    ) -> web.Response:
        """Return the page of a template, for this request."""
        services, access = self._services, self._services.access
        text = self._templates.get_template(template).render(
            project=services.config.project,
            environment=services.config.environment,
            interval=max(2, round(services.config.evaluation_seconds)),
            root=access.root_of(request),
            nav=entries(request.config_dict.get(PATHS, frozenset())),
            form_token=access.form_token(request),
            logged_in=access.sessions.holds(cookie_of(request)),
            login=access.login_from(request),
            **context,
        )
        return web.Response(
            text=text,
            status=status,
            content_type="text/html",
            headers={"Cache-Control": "no-store"},
        )


class Page(API):
    """The handlers of one page, and what they use."""

    def __init__(self, services: Services, renderer: Renderer) -> None:
        super().__init__(services)
        self._renderer = renderer
