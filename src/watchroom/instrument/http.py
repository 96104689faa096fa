"""Requests: how many, how long, with which status, and how many are in flight."""

from __future__ import annotations

from bisect import bisect_left
from os import getpid
from time import perf_counter
from typing import TYPE_CHECKING

from watchroom.catalogue.metrics import HTTP_DURATION, HTTP_IN_FLIGHT, HTTP_REQUESTS
from watchroom.instrument.streams import Stream
from watchroom.registry import roles
from watchroom.registry.guard import fault, guarded
from watchroom.registry.process import LOCKED, PROCESS, add, observe
from watchroom.runtime.slots import TO_GRAIN

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from watchroom.runtime.slots import Cell, View

    # The counter's slot; where the duration's slots begin, its sum, its edges.
    Answered = tuple[View, int, View, int, int, tuple[float, ...]]

# Anything else is whatever a client sends.
METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
)
OTHER = "other"
UNRESOLVED = "unresolved"
# An empty label does not exist to Prometheus; no pattern of Django's is "/".
ROOT = "/"
# In the process files only: the route says whose request died with its process.
IN_FLIGHT = HTTP_IN_FLIGHT._replace(
    kind="inflight", labels=("method", "route"), open_labels=("route",)
)


class Flight:
    """One request in flight.

    Attributes:
        start: `time.perf_counter` at the first middleware.
        method: Of the fixed set.
        cell: Where it is counted as in flight, or None after its response.
    """

    __slots__ = ("cell", "method", "start")

    def __init__(self, start: float, method: str, cell: Cell) -> None:
        self.start = start
        self.method = method
        self.cell: Cell | None = cell


def install() -> None:
    """Create the series that an alert needs before the first request."""
    PROCESS.seed(_seed)


@guarded("http")
def _seed() -> None:
    PROCESS.cell(HTTP_REQUESTS, ("GET", UNRESOLVED, "500"))


def begin(request: HttpRequest) -> Flight | None:
    """Count a request as in flight; None when this process is not counted."""
    try:
        process = PROCESS
        if process.pid != getpid():
            process.born()
        if not process.on:
            if not process.waiting:
                return None
            roles.first_request()
            if not process.on:
                return None
        start = perf_counter()
        process.served = True
        if start > process.next_check:
            process.attend(start)
        method: str = request.method or OTHER
        cell: Cell | None = process.cells.get((method, UNRESOLVED))
        if cell is None:  # new here, or no method of the set: those are never kept
            if method not in METHODS:
                method = OTHER
            cell = _under_way(method, UNRESOLVED)
        view, at = cell
        if LOCKED:
            add(view, at, 1.0)
        else:
            view[at] += 1.0
        return Flight(start, method, cell)
    except Exception:  # noqa: BLE001 - the guard, written out
        fault("http")
    return None


@guarded("http")
def probed() -> None:
    """Show this process, and look after its file, for a request that is not counted."""
    process = PROCESS
    if process.pid != getpid():
        process.born()
    if not process.on and process.waiting:
        roles.first_request()
    if process.on:
        process.served = True
        if (now := perf_counter()) > process.next_check:
            process.attend(now)


def resolved(request: HttpRequest, *_: object) -> None:
    """Move a request in flight to the route that it was resolved to.

    Django's ``process_view``: what it passes besides the request is not wanted.
    """
    try:
        flight: Flight | None = getattr(request, "_watchroom_flight", None)
        if flight is None or flight.cell is None:
            return
        match = request.resolver_match
        key = (flight.method, UNRESOLVED if match is None else match.route or ROOT)
        cell: Cell = PROCESS.cells.get(key) or _under_way(*key)
        # First there, then away: killed between the two it is lost twice, never unseen.
        (view, at), (old, old_at) = cell, flight.cell
        flight.cell = cell
        if LOCKED:
            add(view, at, 1.0)
            add(old, old_at, -1.0)
        else:
            view[at] += 1.0
            old[old_at] -= 1.0
    except Exception:  # noqa: BLE001 - the guard, written out
        fault("http")


def end(request: HttpRequest, flight: Flight, status: int) -> None:
    """Count a request as answered, once."""
    try:
        cell, flight.cell = flight.cell, None
        if cell is None:
            return
        seconds = perf_counter() - flight.start
        try:
            match = request.resolver_match
            route = UNRESOLVED if match is None else match.route or ROOT
            key = (flight.method, route, status)
            cells: Answered = PROCESS.cells.get(key) or _answered(*key)
            counter, at, view, base, total, edges = cells
            if LOCKED:
                add(counter, at, 1.0)
                observe(view, base, edges, seconds)
            else:
                # `observe`, written out: amid cold caches a call costs 0.5 µs.
                counter[at] += 1.0
                view[base + bisect_left(edges, seconds)] += 1.0
                view[total] += seconds + TO_GRAIN - TO_GRAIN
        finally:
            view, at = cell
            if LOCKED:
                add(view, at, -1.0)
            else:
                view[at] -= 1.0
    except Exception:  # noqa: BLE001 - the guard, written out
        fault("http")


@guarded("http")
def end_with(request: HttpRequest, response: HttpResponseBase, flight: Flight) -> None:
    """Count a request when its response has been sent, or has come to another end."""
    if hasattr(response, "_resource_closers"):
        stream = Stream(request, response.status_code)
        response._watchroom_stream = stream  # type: ignore[attr-defined]  # ours  # noqa: SLF001
        stream.follow(response, lambda status, _: end(request, flight, status))
    else:  # a response class that isn't Django's
        end(request, flight, response.status_code)


def _under_way(method: str, route: str) -> Cell:
    cell = PROCESS.cell(IN_FLIGHT, (method, route))
    PROCESS.remember((method, route), cell)
    return cell


def _answered(method: str, route: str, status: int) -> Answered:
    code = str(status) if 100 <= status <= 599 else OTHER
    # The first failure of a route is an increase only if its series was 0.
    PROCESS.cell(HTTP_REQUESTS, (method, route, "500"))
    counter, at = PROCESS.cell(HTTP_REQUESTS, (method, route, code))
    (view, base), edges = (
        PROCESS.cell(HTTP_DURATION, (method, route)),
        PROCESS.edges(HTTP_DURATION),
    )
    cells = (counter, at, view, base, base + len(edges) + 1, edges)
    PROCESS.remember((method, route, status), cells)
    return cells
