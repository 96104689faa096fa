"""Where requests go wrong: just before their view runs."""

import threading
from time import sleep

from django.db import connection, connections

from faults.switches import FaultError, switches

SPARED = {"faults"}


class FaultMiddleware:
    """Applies the faults that strike requests; the page of the switches is spared."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.held = HeldConnections()

    def __call__(self, request):
        return self.get_response(request)

    def process_view(self, request, _view, _args, _kwargs):
        if request.resolver_match.app_name in SPARED:
            return
        held = switches.current().get("held-connections")
        self.held.keep(held.connections if held else 0)
        if slow := switches.struck("slow-responses"):
            sleep(slow.seconds)
        if slow := switches.struck("slow-queries"):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(%s)", [slow.seconds])
        if switches.struck("errors"):
            raise FaultError("a failure that was asked for")


class HeldConnections:
    """Database connections of this process that do nothing but exist."""

    def __init__(self):
        self._lock = threading.Lock()
        self._held = []

    def keep(self, number: int) -> None:
        """Hold this many, opening or closing the difference."""
        with self._lock:
            while len(self._held) > number:
                self._held.pop().close()
            while len(self._held) < number:
                extra = connections["default"].copy()
                with extra.cursor() as cursor:
                    # Plain BEGIN: on SQLite it holds a snapshot, not the only pen.
                    cursor.execute("BEGIN")
                    cursor.execute("SELECT count(*) FROM django_migrations")
                self._held.append(extra)
