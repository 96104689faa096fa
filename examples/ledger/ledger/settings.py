"""Settings of the ledger. Everything that differs between machines is environment.

The environment "demo" (or LEDGER_DEMO=1 under another name) is for one's own machine:
a known key, loopback hosts, plain HTTP.
"""

import os
from pathlib import Path

from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured

import watchroom
from ledger.environment import database, flag, words

BASE_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = Path(os.environ.get("LEDGER_DATA_DIR") or BASE_DIR / "var").resolve()
DATA_DIR.mkdir(parents=True, exist_ok=True)

ENVIRONMENT = os.environ.get("LEDGER_ENVIRONMENT", "production")
DEBUG = flag("LEDGER_DEBUG")
LOCAL = DEBUG or flag("LEDGER_DEMO") or ENVIRONMENT == "demo"
FAULTS = flag("LEDGER_FAULTS")

SECRET_KEY = os.environ.get("LEDGER_SECRET_KEY") or (
    "a key for one's own machine and nothing else" if LOCAL else ""
)
if not SECRET_KEY:
    raise ImproperlyConfigured(
        "Set LEDGER_SECRET_KEY (or LEDGER_DEMO=1 on your own machine)."
    )
ALLOWED_HOSTS = words("LEDGER_HOSTS", "127.0.0.1,localhost,[::1]" if LOCAL else "")

# Applications

INSTALLED_APPS = ["watchroom", "journal", "billing"]
MIDDLEWARE = [
    "watchroom.Middleware",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
if FAULTS:
    INSTALLED_APPS += ["faults"]
    MIDDLEWARE += ["faults.middleware.FaultMiddleware"]

ROOT_URLCONF = "ledger.urls"
WSGI_APPLICATION = "ledger.wsgi.application"
TEST_RUNNER = "ledger.runner.Runner"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "ledger" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "ledger.context.site",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Services: SQLite, files and a folder of messages, unless the URLs say otherwise.

DATABASES = {
    "default": database(os.environ.get("DATABASE_URL", ""), DATA_DIR / "ledger.db")
}

REDIS_URL = os.environ.get("REDIS_URL", "")
if REDIS_URL:
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            "KEY_PREFIX": "ledger",
        }
    }
else:
    # Files, because the four workers must forget a customer's summary together:
    # memory would be four caches, a table would queue for SQLite's one writer.
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
            "LOCATION": DATA_DIR / "cache",
            "OPTIONS": {"MAX_ENTRIES": 2000},
        }
    }
if FAULTS:
    backend = CACHES["default"]["BACKEND"].rpartition(".")[2]
    CACHES["default"]["BACKEND"] = f"faults.cache.Forgetful{backend}"

CELERY_BROKER_URL = REDIS_URL or "filesystem://localhost"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
if not REDIS_URL:
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(DATA_DIR / "queue"),
        "data_folder_out": str(DATA_DIR / "queue"),
        "control_folder": str(DATA_DIR / "queue" / "control"),
        # kombu takes one message each time it looks, and looks once a second.
        "polling_interval": 0.05,
    }
    # Workers that chat with each other about their health would fill the folder.
    CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
    (DATA_DIR / "queue" / "control").mkdir(parents=True, exist_ok=True)
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_TIME_LIMIT = 60
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "celerybeat-schedule")
# On one's own machine half a minute stands for five, and a minute for an hour.
CELERY_BEAT_SCHEDULE = {
    "send what was missed": {
        "task": "billing.tasks.send_missed",
        "schedule": 30 if LOCAL else 300,
    },
    "this month's report": {
        "task": "billing.tasks.build_current_report",
        "schedule": 60 if LOCAL else 3600,
    },
    "nightly report": {
        "task": "billing.tasks.build_last_report",
        "schedule": crontab(hour=2, minute=30),
    },
}

DEFAULT_FROM_EMAIL = os.environ.get("LEDGER_EMAIL_FROM", "billing@ledger.example")
EMAIL_HOST = os.environ.get("LEDGER_EMAIL_HOST", "")
EMAIL_FILE_PATH = os.environ.get("LEDGER_EMAIL_DIR", "")
EMAIL_TIMEOUT = 10
EMAIL_BACKEND = "django.core.mail.backends.{}.EmailBackend".format(
    "smtp" if EMAIL_HOST else "filebased" if EMAIL_FILE_PATH else "console"
)

# Security

CSRF_COOKIE_SECURE = not LOCAL
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = words("LEDGER_ORIGINS")
SECURE_SSL_REDIRECT = not LOCAL
SECURE_HSTS_SECONDS = 0 if LOCAL else 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = not LOCAL
SECURE_HSTS_PRELOAD = not LOCAL
if flag("LEDGER_BEHIND_PROXY"):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Language and time

LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

# Logs and errors

LOGGING = watchroom.logging()
if FAULTS:
    # A wanted failure needs no traceback, thirty a second fill the disk.
    LOGGING["filters"] = {"brief": {"()": "faults.switches.Brief"}}
    LOGGING["handlers"]["console"]["filters"] = ["brief"]
watchroom.sentry(environment=ENVIRONMENT)

# Monitoring

WATCHROOM = {
    "PROJECT": "ledger",
    "ENVIRONMENT": ENVIRONMENT,
    "SITES": words("LEDGER_SITES", "http://127.0.0.1:8000/"),
    "MONITOR_URL": os.environ.get("LEDGER_MONITOR_URL", "http://127.0.0.1:9700"),
    "EXPORTER": os.environ.get("LEDGER_EXPORTER", "127.0.0.1:9000"),
    "RECEIVERS": {},
    # Where the exporter reaches gunicorn itself; without it, by the public road.
    "HEALTH": {"url": os.environ.get("LEDGER_HEALTH_URL", "")},
}
for number, url in enumerate(words("LEDGER_PAGE_URLS"), 1):
    # Who puts an address into the environment in clear declares it no secret.
    name = "ops" if number == 1 else f"ops-{number}"
    WATCHROOM["RECEIVERS"][name] = {"url": url, "public": True}
if page_secret := os.environ.get("LEDGER_PAGE_SECRET"):
    WATCHROOM["RECEIVERS"]["chat"] = {"secret": page_secret}
