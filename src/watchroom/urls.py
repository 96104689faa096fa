"""The health addresses: ``path("", include("watchroom.urls"))``."""

from __future__ import annotations

from django.urls import path

from watchroom.health import views

urlpatterns = [
    path("health/", views.health, name="watchroom-health"),
    # Without the slash too: a probe takes the redirect to it for health.
    path("health", views.health),
    path("livez", views.livez, name="watchroom-livez"),
    path("readyz", views.readyz, name="watchroom-readyz"),
    path("startupz", views.startupz, name="watchroom-startupz"),
]
