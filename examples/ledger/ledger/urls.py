"""Addresses of the ledger."""

from django.conf import settings
from django.urls import include, path

urlpatterns = [
    path("", include("watchroom.urls")),
    path("", include("billing.urls")),
    path("journal/", include("journal.urls")),
    path("api/", include("billing.api_urls")),
]
if settings.FAULTS:
    urlpatterns += [path("faults/", include("faults.urls"))]
