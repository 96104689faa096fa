"""The test project in processes of its own, and what they left counted."""

import json
import os
from pathlib import Path

from tests.support.warm import Warm

from watchroom.exporter.processes.merge import Merger
from watchroom.formats.exposition import parse

ROOT = Path(__file__).parents[2]
FOREIGN = ("WATCHROOM_", "TESTS_APP_", "DJANGO_")

# What scripts may use: an app that serves, and requests to it without a socket.
PRELUDE = """
import asyncio, atexit, gc, io, json, os, sqlite3, sys
import django

@atexit.register
def close_databases():
    # Django keeps those in memory open; Python 3.13 warns of each at its end.
    for found in gc.get_objects():
        if issubclass(type(found), sqlite3.Connection):
            found.close()

django.setup()
from django.core.cache import cache, caches
from django.db import connection
from django.core.wsgi import get_wsgi_application

def call(path, method="GET", app=None, close=True):
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http",
    }
    said = []
    response = (app or application)(environ, lambda status, head: said.append(status))
    body = b"".join(response)
    if close:
        response.close()
    return said[0], body.decode()

def show(value):
    print("\\n" + json.dumps(value))
"""
SERVE = "application = get_wsgi_application()\n"
# What Django imports in the test project, before its models; nothing of ours, which
# may do something when it is imported.
PYTHON = Warm(
    *("asyncio", "django.contrib.staticfiles.finders", "django.core.cache"),
    *("django.core.handlers.asgi", "django.core.handlers.wsgi", "django.core.mail"),
    *("django.db.backends.sqlite3.base", "django.db.models", "django.forms"),
    *("django.template.defaulttags", "django.template.loader_tags", "django.test"),
    *("django.utils.log", "django.views.debug", "django.views.generic", "gc"),
    options=("-W", "error"),
)


def environ(runtime: Path, **more: str) -> dict[str, str]:
    """Return an environment for the test project, free of this process' own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "tests.app.settings",
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT))),
        "WATCHROOM_RUNTIME_DIR": str(runtime),
        **more,
    }


def run(runtime: Path, script: str, *, serve: bool = True, **more: str):
    """Run a script in the test project; returns what it `show`s last."""
    code = PRELUDE + (SERVE if serve else "") + script
    environment = environ(runtime, **more)
    done = PYTHON.run("-c", code, env=environment, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else None


class Counts(dict):
    """An exposition: (name, labels) → value."""

    @classmethod
    def of(cls, text: str) -> "Counts":
        return cls({(one.name, one.labels): one.value for one in parse(text)})

    def get(self, name, **labels):
        return dict.get(self, (name, tuple(sorted(labels.items()))))

    def sum(self, name, **labels):
        wanted = set(labels.items())
        return sum(v for (n, has), v in self.items() if n == name and wanted <= {*has})


def counts(runtime: Path) -> Counts:
    """Return what a fresh exporter would serve now."""
    merger = Merger(runtime, "testapp")
    try:
        return Counts.of(merger.render())
    finally:
        merger.close()
