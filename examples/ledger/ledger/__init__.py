"""A small accounting service: the project that watchroom's demo watches."""

# The app must exist before a task is called anywhere, also in web workers.
from ledger.celery import app as celery_app

__all__ = ["celery_app"]
