"""A small project to try the app side on; what differs per test is environment."""

from __future__ import annotations

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
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": NAME}}
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
USE_TZ = True
LIMIT = os.environ.get("TESTS_APP_LIMIT")
WATCHROOM = {
    "PROJECT": "testapp",
    "VITALS": {"HighLatency": {"limit": LIMIT}} if LIMIT else {},
}
