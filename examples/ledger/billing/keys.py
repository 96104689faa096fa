"""Names in the cache, for those who fill it and those who empty it."""

from datetime import date

DASHBOARD = "billing:dashboard"


def summary(customer_id: int) -> str:
    return f"billing:customer:{customer_id}"


def report(month: date) -> str:
    return f"billing:report:{month:%Y-%m}"
