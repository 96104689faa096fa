"""The settings of a small shop, written from the README of watchroom 0.1."""

from pathlib import Path

import watchroom

BASE_DIR = Path(__file__).parent
SECRET_KEY = "of a project that only tests run"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "urls"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": BASE_DIR / "shop.sqlite3",
    }
}
INSTALLED_APPS = ["watchroom"]
MIDDLEWARE = ["watchroom.Middleware"]
LOGGING = watchroom.logging()
watchroom.sentry()
WATCHROOM = {
    "PROJECT": "shop",
    "ENVIRONMENT": "production",
    "MONITOR_URL": "https://watch.example.org",
    "RECEIVERS": {
        "ops": {"secret": "ops_webhook"},
        "audit": {"secret": "audit_webhook", "severity": ["critical"]},
        "pager": {
            "kind": "pagerduty",
            "secret": "pagerduty_key",
            "url": "http://127.0.0.1:5001/pager",
        },
    },
}
