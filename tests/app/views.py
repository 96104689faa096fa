# ruff: noqa: ARG001 - a view is given its request
import asyncio
import errno
import io
import logging
import os
import time

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import cache
from django.db import connection
from django.http import (
    FileResponse,
    HttpResponse,
    JsonResponse,
    StreamingHttpResponse,
)


def fine(request, number=0):
    return HttpResponse(f"fine {number}")


async def afine(request):
    return HttpResponse("fine")


def work(request):
    """Three queries and four cache calls, as the budget has it."""
    with connection.cursor() as cursor:
        for number in range(3):
            cursor.execute("select %s", [number])
            cursor.fetchall()
    cache.set("a", 1)
    cache.set("b", 0)
    return JsonResponse({"a": cache.get("a"), "b": cache.get("b", 7)})


def boom(request):
    raise RuntimeError("boom")


def leave(request):
    raise SystemExit(3)


def stream(request):
    def parts():
        for number in range(5):
            time.sleep(0.01)
            yield f"{number}\n"

    return StreamingHttpResponse(parts())


async def astream(request):
    async def parts():
        for number in range(5):
            await asyncio.sleep(0.01)
            yield f"{number}\n"

    return StreamingHttpResponse(parts())


def breaks(request, after=1):
    """Stream some parts and fail; with none the failure is in place of the first."""

    def parts():
        for number in range(after):
            yield f"{number}\n"
        raise RuntimeError("in the middle of it")

    return StreamingHttpResponse(parts())


async def abreaks(request, after=1):
    async def parts():
        for number in range(after):
            yield f"{number}\n"
        raise RuntimeError("in the middle of it")

    return StreamingHttpResponse(parts())


class TornFile(io.BytesIO):
    """A file on a disk, or in a store, that fails while it is read."""

    def read(self, size=-1):
        if self.tell() > 0:
            raise OSError(errno.EIO, "the disk has an error")
        return super().read(min(size, 4))


def torn(request):
    return FileResponse(TornFile(b"x" * 100))


async def cancels(request):
    """Wait for a task of its own that was cancelled: nobody has gone."""
    task = asyncio.ensure_future(asyncio.sleep(10))
    task.cancel()
    await task


async def endless(request):
    """Stream until the client has had enough of it, as server-sent events do."""

    async def parts():
        while True:
            yield b"x" * 1024
            await asyncio.sleep(0.02)

    return StreamingHttpResponse(parts())


def sync_only(get_response):
    """Be a middleware that only knows synchronous requests."""

    def middleware(request):
        return get_response(request)

    return middleware


def slow(request):
    time.sleep(float(request.GET.get("seconds", "0.2")))
    return HttpResponse("slow")


def hang(request):
    time.sleep(30)
    return HttpResponse("late")


async def aslow(request):
    await asyncio.sleep(float(request.GET.get("seconds", "0.2")))
    return HttpResponse("slow")


def pid(request):
    return HttpResponse(str(os.getpid()))


def no_session(get_response):
    """A middleware that asks the database, as session and user middleware do."""

    def middleware(request):
        with connection.cursor() as cursor:
            cursor.execute("select 1")
        return get_response(request)

    return middleware


def note(request):
    logging.getLogger("tests.app").debug("noted")
    return work(request)


async def anote(request):
    await asyncio.sleep(0.01)
    logging.getLogger("tests.app").debug("noted in the loop")
    await sync_to_async(note)(request)
    return HttpResponse("noted")


def leak(request):
    """Say and raise every secret that a request can bring along."""
    body = request.body.decode()
    local = {"password": "planted-in-locals", "inner": {"api_token": "planted-deeper"}}
    log = logging.getLogger("tests.app")
    log.warning(
        "asked %s", request.get_full_path(), extra={"headers": dict(request.headers)}
    )
    log.warning("got %s and %r", body, request.COOKIES, extra={"data": local})
    log.warning(
        "key %s", settings.PAYMENT_API_KEY, extra={"kontonummer": "planted-own"}
    )
    connect(password="planted-in-source")
    raise RuntimeError(
        f"no card 4111 1111 1111 1111 of jo@planted.example"
        f" at {request.get_full_path()} with {settings.PAYMENT_API_KEY}"
        f" and Bearer {request.headers['X-Planted']}"
    )


async def aleak(request):
    await asyncio.sleep(0)
    return leak(request)


def reset(request, uidb64, token):
    """Look a visitor's session up, as the session middleware does; then fail."""
    SessionStore(request.COOKIES["sessionid"]).load()
    cache.get_many([request.COOKIES["sessionid"]])
    for pool in cache._cache._pools.values():
        pool.disconnect()
    logging.getLogger("tests.app").warning("looks at %s", request.path)
    if request.method == "POST":
        raise RuntimeError(f"no mail for {request.path}")
    return HttpResponse("reset")


async def areset(request, uidb64, token):
    return await sync_to_async(reset)(request, uidb64, token)


def connect(password):
    """Take it and forget it."""


def tell_more(event, hint):
    """Be a project's own hook, that adds what should not go out."""
    event.setdefault("extra", {}).update(added="by tell_more", password="planted-own")
    return event
