"""Two views: one sells, one fails; and the addresses of watchroom."""

from django.http import HttpResponse, HttpResponseServerError
from django.urls import include, path

import watchroom

orders = watchroom.counter("orders_total", labels=("kind",))


def buy(_request):
    orders.inc(kind="book")
    return HttpResponse("bought")


def pay(_request):
    return HttpResponseServerError("the bank does not answer")


urlpatterns = [
    path("", include("watchroom.urls")),
    path("buy/", buy),
    path("pay/", pay),
]
