"""Print what importing one thing adds to a started Django, as JSON.

Run as `python imports.py watchroom|prometheus_client|sentry_sdk`.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import django
from django.conf import settings

SUBJECTS = {
    "watchroom": [
        "watchroom.apps",
        "watchroom.middleware",
        "watchroom.instrument.http",
        "watchroom.instrument.database",
        "watchroom.instrument.cache",
    ],
    "prometheus_client": ["prometheus_client"],
    "sentry-sdk": ["sentry_sdk", "sentry_sdk.integrations.django"],
}


def resident() -> float:
    """Return the resident memory of this process, MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20


def main() -> None:
    """Measure one subject."""
    settings.configure(
        SECRET_KEY="benchmark",
        INSTALLED_APPS=["django.contrib.contenttypes"],
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
        },
        ROOT_URLCONF="urls",
    )
    django.setup()
    from django.core.wsgi import get_wsgi_application

    get_wsgi_application()
    before, memory, begun = set(sys.modules), resident(), time.perf_counter()
    for module in SUBJECTS[sys.argv[1]]:
        import_module(module)
    spent = (time.perf_counter() - begun) * 1e3
    added = {
        name for name in set(sys.modules) - before if not name.startswith("watchroom")
    }
    tops = {name.partition(".")[0] for name in added}
    third = sorted(tops - set(sys.stdlib_module_names) - {"django"})
    result = {
        "ms": spent,
        "modules": len(added),
        "third_party": len(third),
        "MiB": resident() - memory,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
