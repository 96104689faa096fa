"""A small project to try the app side on; what differs per test is environment."""

from __future__ import annotations

import json
import os
from pathlib import Path

DATA = Path(os.environ.get("TESTS_APP_DATA", "/nonexistent"))
DEBUG = False
SECRET_KEY = "a key for tests and nothing else"
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "testserver"]
ROOT_URLCONF = "tests.app.urls"
WSGI_APPLICATION = "tests.app.wsgi.application"
ASGI_APPLICATION = "tests.app.asgi.application"
INSTALLED_APPS = ["watchroom"]
MIDDLEWARE = [
    "watchroom.Middleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
]
if os.environ.get("TESTS_APP_BARE"):
    INSTALLED_APPS = []
    MIDDLEWARE = MIDDLEWARE[1:]
NAME = str(DATA / "db.sqlite3") if "TESTS_APP_DATA" in os.environ else ":memory:"
DATABASES: dict[str, dict[str, object]] = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": NAME}
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "default",
    },
    "other": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "other",
    },
}
# Where a middleware that only knows synchronous requests stands, beside watchroom's.
if (WHERE := os.environ.get("TESTS_APP_SYNC_ONLY")) is not None:
    MIDDLEWARE.insert(int(WHERE), "tests.app.views.sync_only")
USE_TZ = True
LIMIT = os.environ.get("TESTS_APP_LIMIT")
WATCHROOM = {
    "PROJECT": "testapp",
    "VITALS": {"HighLatency": {"limit": LIMIT}} if LIMIT else {},
}
if PORT := os.environ.get("TESTS_APP_POSTGRES_PORT"):
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": PORT,
        "NAME": "ledger",
        "USER": "ledger",
        "ATOMIC_REQUESTS": True,
    }
if PORT := os.environ.get("TESTS_APP_REDIS_PORT"):
    CACHES["default"] = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": f"redis://127.0.0.1:{PORT}/0",
    }
if os.environ.get("TESTS_APP_STRICT"):
    ALLOWED_HOSTS = ["nobody.example"]
    SECURE_SSL_REDIRECT = True
    MIDDLEWARE += ["tests.app.views.no_session"]
if "TESTS_APP_RELEASE" in os.environ:
    WATCHROOM |= {"ENVIRONMENT": "staging", "RELEASE": os.environ["TESTS_APP_RELEASE"]}
if "TESTS_APP_HEALTH" in os.environ:
    WATCHROOM["HEALTH"] = json.loads(os.environ["TESTS_APP_HEALTH"])
# Names what `watchroom.logging` is told, as JSON; a DSN switches errors on.
LOGS = os.environ.get("TESTS_APP_LOGS")
if LOGS is not None:
    import json

    import watchroom

    INSTALLED_APPS += ["tests.app"]
    PLANTED = "planted-in-settings-4711"
    PAYMENT_API_KEY = PLANTED
    WATCHROOM["REDACT"] = ["kontonummer"]
    LOGGING = watchroom.logging(**json.loads(LOGS))
if "TESTS_APP_SENTRY" in os.environ:
    from django.utils.module_loading import import_string

    OPTIONS = json.loads(os.environ["TESTS_APP_SENTRY"])
    if "before_send" in OPTIONS:
        OPTIONS["before_send"] = import_string(OPTIONS["before_send"])
    watchroom.sentry(**OPTIONS)
