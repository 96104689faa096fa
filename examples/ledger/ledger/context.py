"""What every page may name."""

from django.conf import settings
from django.http import HttpRequest


def site(_request: HttpRequest) -> dict:
    """Return the switches the navigation depends on."""
    return {"faults_possible": settings.FAULTS, "environment": settings.ENVIRONMENT}
