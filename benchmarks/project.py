"""The Django project that every variant serves: 3 queries and 4 cache calls a request.

SQLite in memory and a local-memory cache are the cheapest back ends, so the ratios are
a worst case: a slower back end hides more.
"""

from __future__ import annotations

import os
import sys

import django
from django.conf import settings

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
PROMETHEUS = "django_prometheus.middleware.Prometheus{}Middleware"
VARIANTS = ("bare", "watchroom", "django-prometheus", "otel-metrics", "sentry")


def configure(variant: str, runtime_dir: str) -> None:
    """Set Django up as `variant` says and create the table."""
    apps = ["django.contrib.contenttypes"]
    middleware = list(MIDDLEWARE)
    engine = "django.db.backends.sqlite3"
    cache = "django.core.cache.backends.locmem.LocMemCache"
    if variant == "watchroom":
        os.environ["WATCHROOM_RUNTIME_DIR"] = runtime_dir
        apps.append("watchroom")
        middleware.insert(0, "watchroom.Middleware")
    if variant == "django-prometheus":
        apps.append("django_prometheus")
        middleware = [
            PROMETHEUS.format("Before"),
            *middleware,
            PROMETHEUS.format("After"),
        ]
        engine = "django_prometheus.db.backends.sqlite3"
        cache = "django_prometheus.cache.backends.locmem.LocMemCache"
    settings.configure(
        SECRET_KEY="benchmark",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF="urls",
        INSTALLED_APPS=apps,
        MIDDLEWARE=middleware,
        DATABASES={"default": {"ENGINE": engine, "NAME": ":memory:"}},
        CACHES={"default": {"BACKEND": cache}},
        USE_TZ=True,
        LOGGING_CONFIG=None,
    )
    if variant == "otel-metrics":
        _opentelemetry()
    if variant == "sentry":
        _sentry()
    django.setup()


def _opentelemetry() -> None:
    from opentelemetry import metrics
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    metrics.set_meter_provider(MeterProvider([InMemoryMetricReader()]))
    DjangoInstrumentor().instrument()
    SQLite3Instrumentor().instrument()


def _sentry() -> None:
    import sentry_sdk
    from sentry_sdk.transport import Transport

    class Dropped(Transport):
        """The network is not what is measured."""

        def capture_envelope(self, envelope: object) -> None:
            del envelope

    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1", traces_sample_rate=0.1, transport=Dropped
    )


def main() -> None:
    """Serve requests in process and print the median, microseconds."""
    import statistics
    import time

    variant, requests, runtime_dir = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    configure(variant, runtime_dir)
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/invoices/7/",
        "SERVER_NAME": "benchmark",
        "SERVER_PORT": "80",
        "wsgi.input": sys.stdin.buffer,
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
    }
    said: list[str] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> None:
        del headers, exc_info
        said.append(status)

    times = []
    for number in range(requests + requests // 5):
        begun = time.perf_counter()
        response = application(dict(environ), start_response)
        body = b"".join(response)
        response.close()
        if number >= requests // 5:
            times.append(time.perf_counter() - begun)
    if set(said) != {"200 OK"} or body != b'{"rows": [1, 1, 1]}':
        sys.exit(f"{variant} answered {set(said)} {body!r}")
    print(statistics.median(times) * 1e6)


if __name__ == "__main__":
    main()
