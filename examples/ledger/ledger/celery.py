"""The Celery application; its settings are the CELERY_* ones of Django."""

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

from ledger.environment import flag

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ledger.settings")

# kombu takes no class beside a URL, only a name for the URL's scheme.
TRANSPORT_ALIASES["filesystem"] = "ledger.broker:Transport"

app = Celery(
    "ledger",
    task_cls="faults.tasks:FaultyTask" if flag("LEDGER_FAULTS") else None,
)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
