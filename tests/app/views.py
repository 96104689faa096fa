# ruff: noqa: ARG001 - a view is given its request
import asyncio
import os
import time

from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse


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
