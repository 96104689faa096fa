"""A Django project of its own per test, and the command run in a process of its own."""

from __future__ import annotations

import os

import pytest
from tests.support.warm import Warm

MANAGE = 'import os\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")\n'
SETTINGS = """\
SECRET_KEY = "for tests"
INSTALLED_APPS = ["watchroom", "orders"]
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "x",
             "HOST": "127.0.0.1", "PORT": "1"}}
WATCHROOM = {"PROJECT": "shop"}
"""
VITALS = """\
import watchroom
from watchroom import Alert, Drill, Panel, Runbook, Vital

orders = watchroom.counter("orders_total", labels=("kind",), help="Orders.")

@watchroom.gauge("orders_waiting", every="1m")
def waiting():
    from orders.models import Order
    return Order.objects.count()

ORDERS_WAITING = Vital(
    title="Orders waiting", metrics=("orders_waiting",), limit=100.0,
    alerts=(Alert(
        name="OrdersWaiting", expr="max by (job) (orders_waiting) > $limit",
        for_="5m", severity="warning", priority="P2",
        summary="{{ $value }} orders wait", description="More than $limit_words wait.",
        runbook=Runbook(meaning="m", impact="i", diagnosis="d", mitigation="m"),
        drill=Drill(fault=("orders_waiting 1000+0x$steps",),
                    recovery=("orders_waiting 0+0x$steps",)),
    ),),
    panel=Panel(expr="max(orders_waiting{$real})", presence="count(orders_waiting)"),
)
"""
# What a build imports, whatever the project.
PYTHON = Warm(
    *("django.core.management", "django.db.backends.postgresql.base"),
    *("django.db.models", "numpy", "watchroom.cli.build_notes"),
    *("watchroom.cli.build_plan", "watchroom.cli.commands.build"),
    *(
        "watchroom.derive.documents",
        "watchroom.derive.files",
        "watchroom.promql.engine",
    ),
    *(
        "watchroom.exporter.collect.celery_beat_table",
        "watchroom.exporter.collect.groups",
    ),
    *("django.views.debug", "django.views.generic", "watchroom.cli.project"),
    *("django.template.defaultfilters", "django.template.defaulttags", "django.urls"),
    *("django.template.loader_tags", "django.templatetags.i18n", "django.utils.log"),
    *("watchroom.cli.tree", "watchroom.conf.reading", "watchroom.conf.redaction"),
)


class Shop:
    """A project on disk."""

    def __init__(self, root):
        self.root = root
        self.out = root / "monitoring"
        self.exported = {}
        self.write("manage.py", MANAGE)
        self.write("shop/__init__.py", "")
        self.write("shop/settings.py", SETTINGS)
        self.write("orders/__init__.py", "")
        self.write(
            "orders/models.py",
            "from django.db import models\n\n\nclass Order(models.Model):\n    pass\n",
        )
        self.write("orders/vitals.py", VITALS)

    def write(self, path, text):
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def configure(self, text):
        """Add lines to the settings."""
        self.write("shop/settings.py", SETTINGS + text)

    def build(self, *options, code=0):
        """Run `watchroom build`; return what it said on both outputs."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DJANGO_", "WATCHROOM_"))
        }
        done = PYTHON.run(
            *("-m", "watchroom", "build", str(self.out), *options),
            cwd=self.root,
            env=environment | self.exported,
            timeout=60,
        )
        said = done.stdout + done.stderr
        assert done.returncode == code, said
        assert "Traceback" not in said
        return said

    def texts(self):
        """Return every generated file by its path."""
        return {
            path.relative_to(self.out).as_posix(): path.read_text()
            for path in sorted(self.out.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path)
