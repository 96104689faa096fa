from time import sleep

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class FaultsConfig(AppConfig):
    name = "faults"
    verbose_name = "Faults on purpose"

    def ready(self):
        connection_created.connect(add_sleep, dispatch_uid="faults.add_sleep")


def add_sleep(connection, **_signal):
    """Give SQLite PostgreSQL's pg_sleep(), so that slow SQL is the same SQL."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("pg_sleep", 1, sleep)
