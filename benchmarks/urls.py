"""One JSON view: 3 queries, 2 cache gets, 2 cache sets."""

from __future__ import annotations

from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import path


def invoice(request: HttpRequest, number: int) -> JsonResponse:
    del request
    rows = []
    for _ in range(3):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 WHERE 7 = %s", [number])
            rows.append(cursor.fetchone()[0])
    for key in ("summary", "report"):
        cache.get(key)
        cache.set(key, rows)
    return JsonResponse({"rows": rows})


urlpatterns = [path("invoices/<int:number>/", invoice)]
