"""What each instrument adds to a request, alternated within one process.

Finer than `run.py`: five requests of each variant in turn, so that a busy machine hits
all alike. ``nothing`` is the floor: a middleware and an execute wrapper that only pass
on. Run as `python paired.py [rounds]`.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

from project import configure

if TYPE_CHECKING:
    from collections.abc import Callable


class PassOn:
    """A middleware that does nothing."""

    def __init__(self, get_response: Callable[[Any], Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        """Answer as the inner layers do."""
        return self.get_response(request)

    def process_view(self, *_: object) -> None:
        """Do nothing."""


def pass_on(
    execute: Callable[..., Any], sql: str, params: Any, many: Any, context: Any
) -> Any:
    """Run the query."""
    return execute(sql, params, many, context)


def variants() -> dict[str, Callable[[], Callable[..., Any]]]:
    """Return by name what sets a variant up and returns its WSGI application."""
    from django.conf import settings
    from django.core.cache import caches
    from django.core.handlers.wsgi import WSGIHandler
    from django.db import connection

    connection.ensure_connection()
    wrappers, counted = list(connection.execute_wrappers), caches["default"]
    plain, watched = settings.MIDDLEWARE[1:], settings.MIDDLEWARE
    handlers = []
    for middleware in (plain, [f"{__name__}.PassOn", *plain], watched):
        settings.MIDDLEWARE = middleware
        handlers.append(WSGIHandler())
    bare, nothing, http = handlers
    real = counted._watchroom_real  # noqa: SLF001 - the very same store, uncounted

    def use(handler: Any, wrapped: list[Any], cache: Any) -> Callable[[], Any]:
        def set_up() -> Any:
            connection.execute_wrappers[:] = wrapped
            caches["default"] = cache
            return handler

        return set_up

    return {
        "bare": use(bare, [], real),
        "nothing": use(nothing, [pass_on], real),
        "http": use(http, [], real),
        "3 queries": use(bare, wrappers, real),
        "2 cache gets": use(bare, [], counted),
        "all three": use(http, wrappers, counted),
    }


def answer(application: Callable[..., Any]) -> float:
    """Answer one request; return microseconds."""
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/invoices/7/",
        "SERVER_NAME": "benchmark",
        "SERVER_PORT": "80",
        "wsgi.input": sys.stdin.buffer,
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
    }
    begun = time.perf_counter()
    response = application(environ, lambda *_: None)
    body = b"".join(response)
    response.close()
    spent = (time.perf_counter() - begun) * 1e6
    if body != b'{"rows": [1, 1, 1]}':
        sys.exit(f"answered {body!r}")
    return spent


def main() -> None:
    """Print the median and lower quartile that each variant adds."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 600
    with tempfile.TemporaryDirectory() as scratch:
        configure("watchroom", scratch)
        set_ups = list(variants().items())
        times: dict[str, list[float]] = {name: [] for name, _ in set_ups}
        for number in range(rounds + 100):
            turn = number % len(set_ups)
            for name, set_up in (*set_ups[turn:], *set_ups[:turn]):
                application = set_up()
                answer(application)  # the first one after a change pays for it
                spent = [answer(application) for _ in range(5)]
                times[name] += spent if number >= 100 else []
    print(f"load {os.getloadavg()[0]:.1f}\n{'':14}{'quartile':>10}{'median':>10}")
    quarters = {name: statistics.quantiles(all_, n=4) for name, all_ in times.items()}
    low, middle, _ = quarters["bare"]
    print(f"{'bare':14}{low:10.1f}{middle:10.1f}")
    for name, (quarter, median, _) in list(quarters.items())[1:]:
        print(f"{name:14}{quarter - low:+10.1f}{median - middle:+10.1f}")


if __name__ == "__main__":
    main()
